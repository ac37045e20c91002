/** The compiled binary, alone in an empty folder: it serves turns, contains its plugins, and loads no other file. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "../support/mock-anthropic.ts";
import { say } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

const root = join(import.meta.dir, "../..");
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-binary-"));
  const build = Bun.spawn([process.execPath, "run", "build", "--outfile", join(folder, "built")], {
    cwd: root,
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await build.exited, await build.stderr.text()).toBe(0);
  mkdirSync(join(folder, "empty"));
  copyFileSync(join(folder, "built"), join(folder, "empty/synthesis"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("answers with the real claude, checks an answer against a schema, and resumes a conversation", async () => {
  await using world = await createWorld({
    program: [join(folder, "empty/synthesis")],
    env: { SYNTHESIS_IDLE_KILL_MS: "300" },
  });
  expect(await say(world.server, "one")).toEqual({ answer: "You said: one", origin: "cold" });
  // The check runs in a thread, whose program the binary contains.
  world.mock.on(/a number/, function* () {
    yield text('{"n": "seven"}');
  });
  world.mock.on(/n must be number/, function* () {
    yield text('{"n": 7}');
  });
  const schema = { type: "object", properties: { n: { type: "number" } } };
  const response_format = { type: "json_schema", json_schema: { name: "n", schema } };
  expect((await say(world.server, "a number", { response_format })).answer).toBe('{"n": 7}');
  await world.server.logged(/claude exited/);
  expect(await say(world.server, "two")).toEqual({ answer: "You said: two", origin: "resumed" });

  // The page is in the binary, too.
  const index = await (await fetch(`${world.server.url}/page`)).text();
  const files = [...index.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)].map(([, path]) => path ?? "");
  expect(files.map((path) => path.replace(/^.*\./, "")).toSorted()).toEqual(["css", "js", "svg"]);
  for (const path of files) {
    const response = await fetch(`${world.server.url}${path}`);
    expect([path, response.status, (await response.bytes()).length > 100]).toEqual([path, 200, true]);
  }
});

test("loads nothing from the folder it is started in", async () => {
  const trap = join(folder, "trap");
  mkdirSync(trap);
  writeFileSync(join(trap, ".env"), "SYNTHESIS_NO_SUCH_SETTING=1\n");
  writeFileSync(join(trap, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  writeFileSync(join(trap, "evil.ts"), `require("node:fs").writeFileSync(${JSON.stringify(join(trap, "ran"))}, "")`);
  const doctor = Bun.spawn([join(folder, "empty/synthesis"), "doctor", "--json"], {
    cwd: trap,
    env: { HOME: folder, PATH: "/usr/bin:/bin", SYNTHESIS_HOME: join(folder, "state") },
    stdout: "pipe",
  });
  const { checks } = JSON.parse(await doctor.stdout.text()) as { checks: { name: string; result: string }[] };
  expect(checks[0]).toMatchObject({ name: "configuration", result: "ok" });
  expect(existsSync(join(trap, "ran"))).toBe(false);
});

test("installs its plugin in OpenClaw", async () => {
  const script = join(import.meta.dir, "../support/stand-in-openclaw.ts");
  writeFileSync(join(folder, "openclaw"), `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, { mode: 0o755 });
  const state = join(folder, "setup");
  const setup = Bun.spawn([join(folder, "empty/synthesis"), "setup", "openclaw", "--yes", "--bridge-port", "9"], {
    env: {
      HOME: folder,
      PATH: `${folder}:/usr/bin:/bin`,
      SYNTHESIS_HOME: state,
      OPENCLAW_CONFIG_PATH: join(folder, "openclaw.json"),
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await setup.exited, await setup.stderr.text()).toBe(0);
  for (const file of ["package.json", "openclaw.plugin.json", "index.js"]) {
    const source = readFileSync(join(root, "src/setup/openclaw-plugin", file), "utf8");
    expect(readFileSync(join(state, "openclaw-plugin", file), "utf8")).toBe(source);
  }
});
