/** The definitions of the service for systemd and launchd, and the paths in them. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse } from "plist";
import { version } from "../../package.json";
import { defineService, environmentFileContent } from "../../src/service/definition.ts";
import { launchdAgent } from "../../src/service/launchd-agent.ts";
import { stablePath } from "../../src/service/stable-path.ts";
import { readServiceRecord, systemdUnit } from "../../src/service/systemd-unit.ts";
import { createFixture } from "../doctor/fixture.ts";

const NASTY = `/opt/a "b" 'c' & <d> %h $HOME \\ -- e`;

function define(env: Record<string, string> = {}, program = ["/opt/synthesis", NASTY]) {
  using fixture = createFixture();
  const { paths } = fixture;
  const config = fixture.config({ drainMs: 30_000, memoryMb: 4_000 });
  const service = defineService({ paths, config, program, env: { PATH: "/usr/bin", HOME: fixture.base, ...env } });
  return { ...service, home: NASTY, environmentFile: "/state/[1] %h/service.env", logFile: NASTY };
}

describe("the unit", () => {
  test("quotes what systemd would expand, and stops the server after its drain", () => {
    const lines = systemdUnit(define({ SYNTHESIS_API_KEY: "sk-of-this-test-only" })).split("\n");
    const escaped = String.raw`/opt/a \"b\" 'c' & <d> %%h $$HOME \\ -- e`;
    expect(lines).toContain(`ExecStart="/opt/synthesis" "${escaped}" "serve" "--home" "${escaped}"`);
    expect(lines).toContain(String.raw`EnvironmentFile=/state/\[1\] %%h/service.env`);
    for (const line of ["KillMode=mixed", "TimeoutStopSec=60", "MemoryHigh=5024M", "Restart=on-failure"]) {
      expect(lines).toContain(line);
    }
    expect(lines.join("\n")).not.toMatch(/Protect|NoNewPrivileges|Private/);
  });

  test("expands no variable in the path of the program", () => {
    expect(systemdUnit(define({}, ["/opt/$x/synthesis"]))).toContain('ExecStart="/opt/$x/synthesis" "serve"');
  });
});

test("the agent of launchd is a property list with the same command", () => {
  const service = define();
  const agent = parse(launchdAgent(service)) as Record<string, unknown>;
  expect(agent).toMatchObject({
    ProgramArguments: [...service.program, "serve", "--home", NASTY],
    EnvironmentVariables: service.environment,
    KeepAlive: { SuccessfulExit: false },
    ExitTimeOut: 60,
    StandardErrorPath: NASTY,
  });
});

test("both have the record that doctor compares", () => {
  const service = define();
  for (const content of [systemdUnit(service), launchdAgent(service)]) {
    expect(readServiceRecord(content)).toEqual({
      version,
      program: [...service.program],
      claude: service.claude,
      home: NASTY,
    });
  }
});

test("settings and secrets go into the private file only, and nothing of a shell or a parent Claude does", () => {
  const env = {
    SYNTHESIS_API_KEY: "sk-of-this-test-only",
    SYNTHESIS_BRIDGE_PORT: "1234",
    ANTHROPIC_API_KEY: "sk-ant-test",
    https_proxy: "http://user:password-of-this-test@proxy",
    SYNTHESIS_LAUNCHER_PID: "7",
    CLAUDE_CODE_SESSION_ID: "parent",
    HISTFILE: "/x",
    // A function that bash has exported. No shell could read it from the private file.
    "BASH_FUNC_x%%": "() { :; }",
  };
  const service = define(env);
  expect(Object.keys(service.privateEnvironment).sort()).toEqual([
    "ANTHROPIC_API_KEY",
    "SYNTHESIS_API_KEY",
    "SYNTHESIS_BRIDGE_PORT",
    "https_proxy",
  ]);
  for (const content of [systemdUnit(service), launchdAgent(service)]) {
    expect(content).not.toMatch(/sk-of-this-test|sk-ant-test|password-of-this-test/);
  }
});

test("a shell reads the private file as it was written", () => {
  const value = `a "b" 'c' $HOME \`id\` \\ %h\nnext`;
  const script = `set -a; ${environmentFileContent({ VALUE: value })} printf %s "$VALUE"`;
  expect(Bun.spawnSync(["sh", "-c", script]).stdout.toString()).toBe(value);
});

test("PATH is captured without the entries of package runners", () => {
  const { environment } = define({ PATH: "/home/me/bin:x:/p/node_modules/.bin:/run/fnm_multishells/1_2/bin:/usr/bin" });
  expect(environment.PATH).toBe("/home/me/bin:/usr/bin:/usr/local/bin:/bin");
});

test("the path of Claude Code is in the unit, unless config.json has one", () => {
  using fixture = createFixture();
  const { paths, base } = fixture;
  const claudeBin = fixture.write("bin/claude", "", 0o755);
  const define = (config: string, env: Record<string, string> = {}) =>
    defineService({
      paths,
      config: fixture.config({ claudeBin: config }),
      program: ["/opt/x"],
      env: { HOME: base, ...env },
    });
  const onPath = define("claude", { PATH: join(base, "bin") });
  expect(onPath.environment.SYNTHESIS_CLAUDE_BIN).toBe(claudeBin);
  expect(define(claudeBin, { SYNTHESIS_CLAUDE_BIN: claudeBin }).environment.SYNTHESIS_CLAUDE_BIN).toBe(claudeBin);
  const inFile = define(claudeBin);
  expect(inFile.environment.SYNTHESIS_CLAUDE_BIN).toBeUndefined();
  expect(inFile.claude).toBe(claudeBin);
});

describe("a versioned path", () => {
  const cases: [manager: string, real: string, link: string | null, to: string, stable: string][] = [
    ["Homebrew", "Cellar/synthesis/0.1.0/bin/x", "opt/synthesis", "Cellar/synthesis/0.1.0", "opt/synthesis/bin/x"],
    ["nvm", ".nvm/versions/node/v24.1.0/bin/x", ".nvm/current", ".nvm/versions/node/v24.1.0", ".nvm/current/bin/x"],
    [
      "fnm",
      "fnm/node-versions/v24.1.0/installation/bin/x",
      "fnm/aliases/default",
      "fnm/node-versions/v24.1.0/installation",
      "fnm/aliases/default/bin/x",
    ],
    [
      "mise",
      "mise/installs/node/24.1.0/bin/x",
      "mise/installs/node/24",
      "mise/installs/node/24.1.0",
      "mise/installs/node/24/bin/x",
    ],
    ["asdf", ".asdf/installs/nodejs/24.1.0/bin/x", "on-path/x", ".asdf/installs/nodejs/24.1.0/bin/x", "on-path/x"],
    ["Volta", ".volta/tools/image/node/24.1.0/bin/x", null, "", ".volta/tools/image/node/24.1.0/bin/x"],
    ["npx", ".npm/_npx/0123/node_modules/x", null, "", ".npm/_npx/0123/node_modules/x"],
  ];
  test.each(cases)("of %s gives way to a link, or is reported", (manager, real, link, to, stable) => {
    const base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
    mkdirSync(dirname(join(base, real)), { recursive: true });
    writeFileSync(join(base, real), "", { mode: 0o755 });
    if (link) {
      mkdirSync(dirname(join(base, link)), { recursive: true });
      symlinkSync(join(base, to), join(base, link));
    }
    const found = stablePath(join(base, real), { PATH: join(base, "on-path"), HOME: base });
    expect(found.path).toBe(join(base, stable));
    if (link) expect(found.warning).toBeUndefined();
    else expect(found.warning).toContain(manager);
    rmSync(base, { recursive: true });
  });

  test("any other path stays as it is, with its links", () => {
    expect(stablePath("/usr/bin/env", {})).toEqual({ path: "/usr/bin/env" });
  });
});
