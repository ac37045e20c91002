/** The doctor on a healthy machine and on broken ones. */
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClaudeHome, type HomeOptions } from "../support/claude-home.ts";
import { startMockAnthropic, text } from "../support/mock-anthropic.ts";
import { PROGRAM, REAL_CLAUDE, startServer } from "../support/server.ts";

interface Report {
  ok: boolean;
  checks: { name: string; result: string; found: string; advice?: string }[];
}

interface Machine extends Omit<HomeOptions, "api"> {
  readonly env?: Record<string, string>;
  readonly args?: string[];
  /** Breaks something; `state` is the state folder, which exists. */
  readonly prepare?: (state: string, base: string) => unknown;
}

async function examine({ env = {}, args = [], prepare, ...home }: Machine = {}): Promise<Report & { code: number }> {
  const mock = startMockAnthropic();
  mock.on(/one word/, function* () {
    yield text("ready");
  });
  const claude = createClaudeHome({ api: mock.url, ...home });
  const state = join(claude.base, "state");
  mkdirSync(state, { mode: 0o700 });
  const more = (prepare?.(state, claude.base) ?? {}) as Record<string, string>;
  const doctor = Bun.spawn([...PROGRAM, "doctor", "--json", ...args], {
    env: {
      ...claude.env,
      SYNTHESIS_HOME: state,
      SYNTHESIS_WORKSPACE: claude.workspace,
      SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
      SYNTHESIS_BRIDGE_PORT: "0",
      ...env,
      ...more,
    },
    stdout: "pipe",
    stderr: "inherit",
  });
  const report = JSON.parse(await doctor.stdout.text()) as Report;
  const code = await doctor.exited;
  await mock.stop();
  claude.remove();
  return { ...report, code };
}

test("a healthy machine: every line ok, exit code 0", async () => {
  const { ok, code, checks } = await examine();
  expect(checks.filter(({ result }) => result !== "ok")).toEqual([]);
  expect([ok, code]).toEqual([true, 0]);
});

test("--live: one message through a real claude, and the time of each step", async () => {
  const { code, checks } = await examine({ args: ["--live"] });
  expect(checks.slice(-5).map(({ name }) => name)).toEqual([
    "server started",
    "claude started and took the message",
    "first text",
    "answer complete",
    "live",
  ]);
  expect(code).toBe(0);
});

test("--live tells what the first look cannot see", async () => {
  const { code, checks } = await examine({ args: ["--live"], channels: false });
  expect(checks.find(({ name }) => name === "channel")?.result).toBe("warning");
  expect(checks.at(-1)).toMatchObject({ name: "live", result: "failed", found: expect.stringContaining("channel") });
  expect(code).toBe(1);
});

describe("a broken one: what is wrong, and what to do", () => {
  const put = (path: string, content: string, mode = 0o600) => writeFileSync(path, content, { mode });
  const cases: [what: string, machine: Machine, check: string, result: string, found: RegExp, advice: RegExp][] = [
    [
      "no claude",
      { env: { SYNTHESIS_CLAUDE_BIN: "/nowhere/claude" } },
      "claude",
      "failed",
      /no program/,
      /npm install -g/,
    ],
    [
      "another program",
      { env: { SYNTHESIS_CLAUDE_BIN: "/bin/true" } },
      "claude",
      "failed",
      /version/,
      /SYNTHESIS_CLAUDE_BIN/,
    ],
    [
      "an old claude",
      {
        prepare: (_state, base) => {
          put(join(base, "old"), "#!/bin/sh\necho 1.0.0\n", 0o755);
          return { SYNTHESIS_CLAUDE_BIN: join(base, "old") };
        },
      },
      "claude",
      "warning",
      /1\.0\.0/,
      /tested with/,
    ],
    ["no login", { loggedIn: false }, "login", "failed", /not logged in/, /\/login/],
    ["channels switched off", { env: { DISABLE_TELEMETRY: "1" } }, "channel", "failed", /DISABLE_TELEMETRY/, /Unset/],
    ["another provider", { env: { CLAUDE_CODE_USE_BEDROCK: "1" } }, "channel", "failed", /BEDROCK/, /Unset/],
    ["never been online", { channels: false }, "channel", "warning", /not fetched/, /--live/],
    ["an unknown setting", { env: { SYNTHESIS_PROT: "1" } }, "configuration", "failed", /SYNTHESIS_PROT/, /Correct/],
    [
      "a workspace that is a file",
      {
        prepare: (_state, base) => {
          put(join(base, "file"), "");
          return { SYNTHESIS_WORKSPACE: join(base, "file") };
        },
      },
      "workspace",
      "failed",
      /not a folder/,
      /folder/,
    ],
    [
      "a root that is gone",
      { env: { SYNTHESIS_ALLOWED_ROOTS: "/nowhere" } },
      "allowed root",
      "warning",
      /not there/,
      /Make it/,
    ],
    [
      "a key that others can read",
      { prepare: (state) => put(join(state, "chat.key"), "sk-synthesis-0123456789", 0o644) },
      "state folder",
      "failed",
      /others can read .*chat\.key/,
      /chmod go=/,
    ],
    [
      "an open state folder",
      { prepare: (state) => chmodSync(state, 0o755) },
      "state folder",
      "failed",
      /others can read/,
      /chmod go=/,
    ],
    [
      "an empty key",
      { prepare: (state) => put(join(state, "chat.key"), "") },
      "state folder",
      "failed",
      /holds no key/,
      /Remove it/,
    ],
    [
      "a damaged database",
      {
        prepare: (state) =>
          put(join(state, "synthesis.db"), "this is not a database, but long enough to be one ".repeat(99)),
      },
      "database",
      "failed",
      /cannot be read|damaged/,
      /move .* away/,
    ],
  ];
  test.each(cases)("%s", async (_what, machine, name, result, found, advice) => {
    const { ok, code, checks } = await examine(machine);
    const check = checks.find((one) => one.name === name);
    expect(check).toMatchObject({ result, found: expect.stringMatching(found), advice: expect.stringMatching(advice) });
    expect([ok, code]).toEqual(result === "failed" ? [false, 1] : [true, 0]);
  });

  test("a port that another program has", async () => {
    using other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const { checks } = await examine({ env: { SYNTHESIS_BRIDGE_PORT: `${other.port}` } });
    expect(checks.find(({ name }) => name === "port")).toMatchObject({
      result: "failed",
      advice: expect.stringContaining("SYNTHESIS_BRIDGE_PORT"),
    });
  });
});

test("a server that runs is found by its lock", async () => {
  const claude = createClaudeHome({ api: "http://127.0.0.1:9" });
  const env = { ...claude.env, SYNTHESIS_HOME: join(claude.base, "state"), SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE };
  const server = await startServer(env);
  const doctor = Bun.spawn([...PROGRAM, "doctor"], { env, stdout: "pipe" });
  expect(await doctor.stdout.text()).toContain(
    `synthesis runs (pid ${server.pid}) and listens on ${new URL(server.url).port}`,
  );
  await server.stop();
  claude.remove();
});

test("the start says which claude it will use, and what keeps it from that", async () => {
  const claude = createClaudeHome({ api: "http://127.0.0.1:9", loggedIn: false });
  for (const [bin, line] of [
    [REAL_CLAUDE, /Claude Code: .*claude, 2\.1\.330, NOT LOGGED IN/],
    ["/nowhere/claude", /there is no \/nowhere\/claude\. `synthesis doctor` says what to do/],
  ] as const) {
    const server = await startServer({
      ...claude.env,
      SYNTHESIS_HOME: join(claude.base, "state"),
      SYNTHESIS_CLAUDE_BIN: bin,
    });
    expect(await server.printed(line)).toBeString();
    await server.stop();
  }
  claude.remove();
});
