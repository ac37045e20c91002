/** An OpenClaw that `synthesis setup openclaw` has set up, and what can change afterwards. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openClawChecks } from "../../src/doctor/openclaw.ts";
import { PROGRAM } from "../support/server.ts";
import { createFixture, type Fixture } from "./fixture.ts";

const KEY = "sk-synthesis-0123456789";

interface OpenClawSettings {
  models: { providers: { synthesis?: Record<string, unknown> } };
  agents: { defaults: object; entries?: object };
  plugins: { entries: object; load: { paths: string[] } };
}

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture({ env: { SYNTHESIS_BRIDGE_PORT: "9" } });
  const script = join(import.meta.dir, "../support/stand-in-openclaw.ts");
  fixture.write("bin/openclaw", `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, 0o755);
  fixture.write("state/chat.key", KEY);
  fixture.env.PATH = `${fixture.base}/bin:/usr/bin:/bin`;
  fixture.env.OPENCLAW_CONFIG_PATH = join(fixture.base, "openclaw.json");
  const setup = Bun.spawnSync([...PROGRAM, "setup", "openclaw", "--yes"], { env: fixture.env });
  expect(setup.exitCode, setup.stderr.toString()).toBe(0);
});
afterEach(() => fixture[Symbol.dispose]());

/** Changes OpenClaw's configuration. */
function edit(change: (settings: OpenClawSettings) => void): void {
  const file = fixture.env.OPENCLAW_CONFIG_PATH ?? "";
  const settings = JSON.parse(readFileSync(file, "utf8")) as OpenClawSettings;
  change(settings);
  writeFileSync(file, JSON.stringify(settings));
}

const check = () => openClawChecks(fixture.paths, fixture.config(), fixture.env);

test("accepts an OpenClaw that was set up, and shows no key", async () => {
  const checks = await check();
  expect(checks.map(({ id }) => id)).toEqual([
    "openclaw.ok",
    "openclaw_provider.ok",
    "openclaw_plugin.ok",
    "openclaw_workspaces.ok",
  ]);
  expect(checks[2]?.found).toMatch(/^\d+\.\d+\.\d+, in /);
  expect(JSON.stringify(checks)).not.toContain(KEY);
});

test("accepts a machine without OpenClaw", async () => {
  fixture.env.PATH = "/usr/bin:/bin";
  expect(await check()).toMatchObject([{ id: "openclaw.ok" }]);
});

test.each<[what: string, change: () => void, id: string, result: string, found: RegExp]>([
  [
    "without our provider",
    () => edit(({ models }) => delete models.providers.synthesis),
    "openclaw.not_set_up",
    "warning",
    /openclaw, /,
  ],
  [
    "whose provider uses another port",
    () => edit(({ models }) => Object.assign(models.providers.synthesis ?? {}, { baseUrl: "http://127.0.0.1:1/v1" })),
    "openclaw_provider.wrong_address",
    "failed",
    /127\.0\.0\.1:1\/v1 .* http:\/\/127\.0\.0\.1:9/,
  ],
  [
    "whose provider uses another key",
    () => edit(({ models }) => Object.assign(models.providers.synthesis ?? {}, { apiKey: "sk-another" })),
    "openclaw_provider.wrong_key",
    "failed",
    /127\.0\.0\.1:9/,
  ],
  [
    "without our plugin",
    () =>
      edit(({ plugins }) => {
        plugins.load.paths = [];
      }),
    "openclaw_plugin.absent",
    "warning",
    /absent/,
  ],
  [
    "whose plugin is disabled",
    () =>
      edit(({ plugins }) => {
        plugins.entries = { synthesis: { enabled: false } };
      }),
    "openclaw_plugin.disabled",
    "warning",
    /disabled/,
  ],
  [
    "whose plugin is of another version",
    () => fixture.write("state/openclaw-plugin/index.js", "//"),
    "openclaw_plugin.wrong_version",
    "warning",
    /openclaw-plugin/,
  ],
  [
    "with an agent that works outside the allowed roots",
    () =>
      edit(({ agents }) => {
        agents.entries = { ops: { workspace: "/elsewhere" } };
      }),
    "openclaw_workspaces.not_allowed",
    "warning",
    /\/elsewhere/,
  ],
  [
    "that fails",
    () => Object.assign(fixture.env, { STAND_IN_FAILS: "agents list" }),
    "openclaw.no_answer",
    "warning",
    /openclaw does not answer/,
  ],
])("finds an OpenClaw %s", async (_what, change, id, result, found) => {
  change();
  const checks = await check();
  expect(checks.find(({ result }) => result !== "ok")).toMatchObject({
    id,
    result,
    found: expect.stringMatching(found),
    advice: expect.any(String),
  });
});
