/** All checks together. */
import { expect, test } from "bun:test";
import { runChecks } from "../../src/doctor/run-checks.ts";
import { createFixture } from "./fixture.ts";

test("every check of a machine on which nothing is wrong is ok", async () => {
  using fixture = createFixture();
  const checks = await runChecks(fixture.paths, fixture.env, {});
  expect(checks.filter(({ result }) => result !== "ok")).toEqual([]);
  expect(checks.map(({ id }) => id)).toEqual([
    "configuration.ok",
    "claude.ok",
    "login.ok",
    "engine.ok",
    "channel.ok",
    "hooks.ok",
    "claude_settings.ok",
    "permission_mode.ok",
    "blocking_settings.ok",
    "memory.ok",
    "workspace.ok",
    "state_folder.ok",
    "port.ok",
    "listening.ok",
    "database.ok",
    "service.ok",
    "openclaw.ok",
  ]);
});

test("an invalid configuration is the only check, since the others depend on it", async () => {
  using fixture = createFixture();
  expect(await runChecks(fixture.paths, { ...fixture.env, SYNTHESIS_PROT: "1" }, {})).toMatchObject([
    { id: "configuration.invalid", result: "failed", found: expect.stringContaining("SYNTHESIS_PROT") },
  ]);
});

test("an unexpected error fails one subject and leaves the others", async () => {
  using fixture = createFixture();
  // Reading a folder as a file fails in a way that no check expects.
  fixture.write("home/.claude/settings.json/file", "");
  const checks = await runChecks(fixture.paths, fixture.env, {});
  expect(checks.filter(({ result }) => result === "failed").map(({ id }) => id)).toEqual(["claude.unexpected_error"]);
  expect(checks.map(({ id }) => id)).toContain("port.ok");
});
