/** The configuration of a running server: what can change, and how it differs from the file. */
import { expect, test } from "bun:test";
import { ConfigError } from "../../src/config/config-error.ts";
import { pathsFor } from "../../src/config/paths.ts";
import { createRunningConfig } from "../../src/config/running-config.ts";
import { type Config, defaults } from "../../src/config/schema.ts";

const loaded: Config = { ...defaults(pathsFor("/state")), allowedRoots: ["/a", "/b"] };

test("changes the allowed roots, each of them once", () => {
  const running = createRunningConfig(loaded, () => loaded);
  running.changeRoots({ add: ["/c", "/b"], remove: ["/a"] });
  expect(running.config.allowedRoots).toEqual(["/b", "/c"]);
});

test("names the settings that have changed since the start", () => {
  const running = createRunningConfig(loaded, () => ({ ...loaded, spares: 3, idleKillMs: 1 }));
  expect(running.difference()).toEqual({ settings: ["spares", "idleKillMs"], problem: null });
  expect(running.config.spares).toBe(loaded.spares);
});

test("ignores the order of lists", () => {
  const running = createRunningConfig(loaded, () => ({ ...loaded, allowedRoots: ["/b", "/a"] }));
  expect(running.difference().settings).toEqual([]);
});

test("reports a configuration with which the server could not start again", () => {
  const running = createRunningConfig(loaded, () => {
    throw new ConfigError("spares is invalid");
  });
  expect(running.difference()).toEqual({ settings: [], problem: "spares is invalid" });
});
