/** The doctor on a healthy machine and on broken ones. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
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
  expect(checks.slice(-6).map(({ name }) => name)).toEqual([
    "server started",
    "claude started and took the message",
    "first text",
    "answer complete",
    "a spare",
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
      { env: { SYNTHESIS_CLAUDE_BIN: "git" } },
      "claude",
      "failed",
      /not Claude Code/,
      /SYNTHESIS_CLAUDE_BIN/,
    ],
    [
      "an old claude",
      {
        prepare: (_state, base) => {
          put(join(base, "old"), "#!/bin/sh\necho '1.0.0 (Claude Code)'\n", 0o755);
          return { SYNTHESIS_CLAUDE_BIN: join(base, "old") };
        },
      },
      "claude",
      "warning",
      /1\.0\.0/,
      /tested with/,
    ],
    ["no login", { loggedIn: false }, "login", "failed", /not logged in/, /\/login/],
    [
      "a key that nobody has approved, and no login",
      { keyApproved: false },
      "login",
      "failed",
      /ANTHROPIC_API_KEY .* not approved/,
      /SYNTHESIS_USE_API_KEY=true/,
    ],
    [
      "settings of claude's that are not JSON",
      {
        prepare: (_state, base) => {
          mkdirSync(join(base, "home/.claude"));
          put(join(base, "home/.claude/settings.json"), "{ no");
        },
      },
      "claude's settings",
      "failed",
      /settings\.json is not valid JSON/,
      /Correct it/,
    ],
    [
      "an agent's workspace that is a file",
      {
        prepare: (_state, base) => {
          put(join(base, "file"), "");
          return { SYNTHESIS_AGENTS: JSON.stringify({ ops: { workspace: join(base, "file") } }) };
        },
      },
      "workspace of ops",
      "failed",
      /is a file, but synthesis needs a folder/,
      /SYNTHESIS_AGENTS/,
    ],
    [
      "memory for no claude",
      { env: { SYNTHESIS_MEMORY_MB: "64" } },
      "memory",
      "warning",
      /64 of/,
      /Raise SYNTHESIS_MEMORY_MB/,
    ],
    [
      "a folder as claude",
      { env: { SYNTHESIS_CLAUDE_BIN: "/tmp" } },
      "claude",
      "failed",
      /is a folder/,
      /SYNTHESIS_CLAUDE_BIN/,
    ],
    [
      "a claude that may not be run",
      {
        prepare: (_state, base) => {
          put(join(base, "claude"), "");
          return { SYNTHESIS_CLAUDE_BIN: join(base, "claude") };
        },
      },
      "claude",
      "failed",
      /may not be run/,
      /chmod u\+x/,
    ],
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
      /is a file, but synthesis needs a folder/,
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
      "a control key that others can read",
      { prepare: (state) => put(join(state, "control.key"), "control-synthesis-0123456789", 0o644) },
      "state folder",
      "failed",
      /others can read .*control\.key/,
      /chmod go=/,
    ],
    [
      "a damaged database",
      {
        prepare: (state) =>
          put(join(state, "synthesis.db"), "this is not a database, but long enough to be one ".repeat(99)),
      },
      "database",
      "failed",
      /damaged/,
      /Restart synthesis: it sets the file aside/,
    ],
    [
      "an index that does not fit its table",
      {
        prepare: (state) => {
          const file = join(state, "synthesis.db");
          {
            using database = new Database(file, { create: true });
            database.run("CREATE TABLE t (x)");
            database.run("CREATE INDEX i ON t (x)");
            database.run("INSERT INTO t VALUES ('needle')");
          }
          const bytes = readFileSync(file);
          bytes.write("nettle", bytes.lastIndexOf("needle"));
          writeFileSync(file, bytes);
          chmodSync(file, 0o600);
        },
      },
      "database",
      "failed",
      /damaged: .*missing from index/,
      /move .* away/,
    ],
    [
      "a newer version's database",
      {
        prepare: (state) => {
          using database = new Database(join(state, "synthesis.db"), { create: true });
          database.run("CREATE TABLE __drizzle_migrations (id, hash, created_at)");
          database.run("INSERT INTO __drizzle_migrations VALUES (1, '', 99999999999999)");
          chmodSync(join(state, "synthesis.db"), 0o600);
        },
      },
      "database",
      "failed",
      /newer version/,
      /--home/,
    ],
    [
      "rows without their conversation",
      {
        prepare: (state) => {
          using database = new Database(join(state, "synthesis.db"), { create: true });
          database.run("CREATE TABLE sessions (key text primary key)");
          database.run("CREATE TABLE turns (session text REFERENCES sessions (key))");
          database.run("INSERT INTO turns VALUES ('gone')");
          chmodSync(join(state, "synthesis.db"), 0o600);
        },
      },
      "database",
      "warning",
      /1 turns belong to no conversation/,
      /no harm/,
    ],
    ...(
      [
        [
          "keeps the plugin of synthesis out",
          { deniedMcpServers: [{ serverName: "plugin:synthesis:chat" }] },
          "failed",
        ],
        ["keeps the plugin of synthesis out", { allowedMcpServers: [] }, "failed"],
        ["may switch channels off", { env: { CLAUDE_CODE_DISABLE_FEATURE_FLAGS: "1" } }, "warning"],
        ["denies Claude the tools of chat programs", { permissions: { deny: ["mcp__plugin_*"] } }, "warning"],
      ] as const
    ).map(([what, settings, result]): (typeof cases)[number] => [
      `a workspace whose settings.local.json ${what}`,
      {
        prepare: (_state, base) => {
          mkdirSync(join(base, "workspace/.claude"));
          put(join(base, "workspace/.claude/settings.local.json"), JSON.stringify(settings));
        },
      },
      "settings of workspaces",
      result,
      new RegExp(`in \\S+/workspace/\\.claude/settings\\.local\\.json ${what}$`),
      /Remove it there/,
    ]),
    [
      "a damaged database that was set aside",
      {
        prepare: (state) => {
          for (const suffix of ["", "-wal"])
            put(join(state, `synthesis.db.damaged-2026-11-25T04-30-44-579Z${suffix}`), "");
        },
      },
      "database",
      "warning",
      /was set aside as \S+Z$/,
      /Remove it/,
    ],
  ];
  test.each(cases)("%s", async (_what, machine, name, result, found, advice) => {
    const { ok, code, checks } = await examine(machine);
    const check = checks.findLast((one) => one.name === name);
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
  const said = () => Bun.spawn([...PROGRAM, "doctor"], { env, stdout: "pipe" }).stdout.text();
  const first = await said();
  expect(first).toContain(`synthesis runs (pid ${server.pid}) and listens on ${new URL(server.url).port}`);
  expect(first).toContain("running configuration: as at the start");
  // Changed under the running server, by its user or by Claude.
  const configFile = join(claude.base, "state/config.json");
  writeFileSync(configFile, '{ "allowedTools": ["Bash(*)"], "permissionMode": "manual" }', { mode: 0o600 });
  expect(await said()).toContain(`${configFile} has changed since the server started: allowedTools\n`);
  await server.stop();
  claude.remove();
});

test("an approval is not needed for a key that the settings allow", async () => {
  const { code } = await examine({ keyApproved: false, env: { SYNTHESIS_USE_API_KEY: "true" } });
  expect(code).toBe(0);
});

test("the start says which claude it will use, and what keeps it from that", async () => {
  const claude = createClaudeHome({ api: "http://127.0.0.1:9", loggedIn: false });
  for (const [bin, line] of [
    ["git", /NOT READY: claude: .*git is not Claude Code/],
    [
      REAL_CLAUDE,
      /Claude Code: .*claude, 2\.1\.330, NOT READY: login: not logged in\. Run .* \/login\. `synthesis doctor` checks/,
    ],
    ["/nowhere/claude", /NOT READY: claude: no program \/nowhere\/claude\. Install .*, or set SYNTHESIS_CLAUDE_BIN/],
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

describe("with OpenClaw on the machine", () => {
  interface Settings {
    models: { providers: { synthesis: Record<string, unknown> } };
    agents: { defaults: object; entries?: object };
    plugins: { entries: object; load: { paths: string[] } };
  }
  const KEY = "sk-synthesis-0123456789";
  /** What the doctor says of OpenClaw there, after `change` to what a setup has done. */
  async function lookAt(change: (config: Settings, base: string) => Record<string, string> | undefined) {
    const { checks } = await examine({
      prepare: (state, base) => {
        const bin = join(base, "bin");
        const script = join(import.meta.dir, "../support/stand-in-openclaw.ts");
        mkdirSync(bin);
        writeFileSync(join(bin, "openclaw"), `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, {
          mode: 0o755,
        });
        writeFileSync(join(state, "chat.key"), KEY, { mode: 0o600 });
        const file = join(base, "openclaw.json");
        const env = { PATH: `${bin}:/usr/bin:/bin`, OPENCLAW_CONFIG_PATH: file, SYNTHESIS_BRIDGE_PORT: "9" };
        const done = Bun.spawnSync([...PROGRAM, "setup", "openclaw", "--yes"], {
          env: { ...env, HOME: base, SYNTHESIS_HOME: state },
        });
        expect(done.exitCode, done.stderr.toString()).toBe(0);
        const config = JSON.parse(readFileSync(file, "utf8")) as Settings;
        const more = change(config, base);
        writeFileSync(file, JSON.stringify(config));
        return { ...env, ...more };
      },
    });
    return checks.filter(({ name }) => name.startsWith("OpenClaw"));
  }
  test("that was set up: every line ok, and no key in them", async () => {
    const checks = await lookAt(() => undefined);
    expect(checks.map(({ name, result }) => [name, result])).toEqual([
      ["OpenClaw", "ok"],
      ["OpenClaw's provider", "ok"],
      ["OpenClaw's plugin", "ok"],
      ["OpenClaw's workspaces", "ok"],
    ]);
    expect(checks[2]?.found).toMatch(/^\d+\.\d+\.\d+, in /);
    expect(JSON.stringify(checks)).not.toContain(KEY);
  });

  const cases: [what: string, change: Parameters<typeof lookAt>[0], name: string, result: string, found: RegExp][] = [
    [
      "it does not know us",
      (config) => {
        config.models.providers.synthesis = undefined as never;
        return undefined;
      },
      "OpenClaw",
      "warning",
      /does not know synthesis/,
    ],
    [
      "another port",
      (config) => {
        config.models.providers.synthesis.baseUrl = "http://127.0.0.1:1/v1";
        return undefined;
      },
      "OpenClaw's provider",
      "failed",
      /127\.0\.0\.1:1\/v1, and not to http:\/\/127\.0\.0\.1:9/,
    ],
    [
      "another key",
      (config) => {
        config.models.providers.synthesis.apiKey = "sk-another";
        return undefined;
      },
      "OpenClaw's provider",
      "failed",
      /with another key than ours$/,
    ],
    [
      "no plugin",
      (config) => {
        config.plugins.load.paths = [];
        return undefined;
      },
      "OpenClaw's plugin",
      "warning",
      /^absent/,
    ],
    [
      "the plugin switched off",
      (config) => {
        config.plugins.entries = { synthesis: { enabled: false } };
        return undefined;
      },
      "OpenClaw's plugin",
      "warning",
      /switched off/,
    ],
    [
      "another plugin in its place",
      (_config, base) => {
        writeFileSync(join(base, "state/openclaw-plugin/index.js"), "//");
        return undefined;
      },
      "OpenClaw's plugin",
      "warning",
      /not this program's/,
    ],
    [
      "an agent elsewhere",
      (config) => {
        config.agents.entries = { ops: { workspace: "/elsewhere" } };
        return undefined;
      },
      "OpenClaw's workspaces",
      "warning",
      /^\/elsewhere not among/,
    ],
    ["an OpenClaw that fails", () => ({ STAND_IN_FAILS: "agents list" }), "OpenClaw", "warning", /does not answer/],
  ];
  test.each(cases)("%s", async (_what, change, name, result, found) => {
    const check = (await lookAt(change)).find((one) => one.name === name);
    expect(check).toMatchObject({ result, found: expect.stringMatching(found), advice: expect.any(String) });
  });
});
