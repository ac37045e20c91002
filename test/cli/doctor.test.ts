/** `synthesis doctor`: its output for people and for programs, its exit code, and the server that runs beside it. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createFixture, type Fixture } from "../doctor/fixture.ts";
import { PROGRAM, startServer } from "../support/server.ts";

interface Report {
  ok: boolean;
  checks: { name: string; result: string; found: string; advice?: string }[];
}

async function doctor({ env }: Fixture, ...args: string[]): Promise<{ code: number; out: string }> {
  const child = Bun.spawn([...PROGRAM, "doctor", ...args], { env, stdout: "pipe", stderr: "inherit" });
  return { out: await child.stdout.text(), code: await child.exited };
}

test("prints the checks as JSON and exits with 0 when none has failed", async () => {
  using fixture = createFixture({ channels: false });
  const { out, code } = await doctor(fixture, "--json");
  const { ok, checks } = JSON.parse(out) as Report;
  expect([ok, code]).toEqual([true, 0]);
  expect(checks.find(({ name }) => name === "channel")).toEqual({
    name: "channel",
    result: "warning",
    found: expect.any(String),
    advice: expect.any(String),
  });
  expect(checks.find(({ name }) => name === "port")).toEqual({ name: "port", result: "ok", found: expect.any(String) });
});

test("exits with 1 when a check has failed, and does not start the smoke test", async () => {
  using fixture = createFixture({ env: { SYNTHESIS_CLAUDE_BIN: "/nowhere/claude" } });
  const { out, code } = await doctor(fixture, "--json", "--live");
  const { ok, checks } = JSON.parse(out) as Report;
  expect([ok, code]).toEqual([false, 1]);
  expect(checks.map(({ name }) => name)).not.toContain("server started");
});

test("prints each check on a line, and its advice on the next", async () => {
  using fixture = createFixture({ env: { SYNTHESIS_CLAUDE_BIN: "/nowhere/claude" } });
  expect((await doctor(fixture)).out).toMatch(/^✗ claude: \S.*\n {4}→ Install Claude Code/m);
});

test("finds the running server, and the settings that have changed since it started", async () => {
  using fixture = createFixture();
  const server = await startServer(fixture.env);
  const first = (await doctor(fixture)).out;
  expect(first).toContain(`synthesis runs (pid ${server.pid}) and listens on ${new URL(server.url).port}`);
  expect(first).toContain("✓ running configuration: ");
  const changed = '{ "allowedTools": ["Bash(*)"], "permissionMode": "manual" }';
  writeFileSync(fixture.paths.configFile, changed, { mode: 0o600 });
  expect((await doctor(fixture)).out).toContain(
    `! running configuration: ${fixture.paths.configFile} has changed since the server started: allowedTools\n`,
  );
  await server.stop();
});
