/** Problems with files that keep a server from starting: the start and the doctor report all of them, in the same way. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../../src/config/config-error.ts";
import { loadChatKey, loadControlKey, loadMetricsKey } from "../../src/config/keys.ts";
import { loadConfig } from "../../src/config/load.ts";
import { pathsFor } from "../../src/config/paths.ts";
import { prepareStateFolder, prepareWorkspace } from "../../src/config/state-folder.ts";
import type { Check } from "../../src/doctor/check.ts";
import { runChecks } from "../../src/doctor/run-checks.ts";
import { PROGRAM } from "../support/server.ts";

type Env = Record<string, string>;

const OTHER_USER = 12_345;
const isRoot = process.getuid?.() === 0;

let base: string;
let state: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  state = join(base, "state");
  mkdirSync(state, { mode: 0o700 });
  writeFileSync(join(base, "file"), "");
  symlinkSync(join(base, "missing"), join(base, "link"));
  symlinkSync(join(base, "loop"), join(base, "loop"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const environment = (more: Env): Env => ({
  PATH: "/usr/bin:/bin",
  HOME: base,
  SYNTHESIS_HOME: state,
  SYNTHESIS_CLAUDE_BIN: "/nowhere/claude",
  SYNTHESIS_BRIDGE_PORT: "0",
  ...more,
});

/** What `serve` does with files before it opens the database. */
function start(env: Env): void {
  const paths = pathsFor(env.SYNTHESIS_HOME);
  prepareStateFolder(paths);
  const { workspace } = loadConfig(paths, env, {});
  loadChatKey(paths.chatKey);
  loadControlKey(paths.controlKey);
  loadMetricsKey(paths.metricsKey);
  prepareWorkspace(workspace);
}

/** Writes a file with valid content into the state folder. */
function put(name: string): string {
  const file = join(state, name);
  const content = { "config.json": "{}", "synthesis.db": "" }[name] ?? "k".repeat(32);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

interface Problem {
  readonly what: string;
  /** Causes the problem. @returns variables for the environment */
  readonly cause: () => Env;
  /** The name of the doctor's check that fails. */
  readonly check: string;
  readonly message: RegExp;
}

const NEEDS_FOLDER = /is a file, but synthesis needs a folder/;
const NEEDS_FILE = /is a folder, but synthesis needs a file/;
const BROKEN_LINK = /is a broken link to/;
const OTHERS_WRITE = /can be written by other users/;
const FOREIGN = /belongs to another user/;

/** Of each problem with files in the state folder, the one with the configuration file fails another check. */
const checkOf = (file: string): string => (file === "config.json" ? "configuration" : "state folder");

const wrongPath = (what: string, setting: string, path: () => string, message: RegExp): Problem => ({
  what,
  cause: () => ({ [setting]: path() }),
  check: setting === "SYNTHESIS_HOME" ? "state folder" : "workspace",
  message,
});

const inStateFolder = (what: string, file: string, cause: (path: string) => void, message: RegExp): Problem => ({
  what: `${file} ${what}`,
  cause: () => {
    cause(join(state, file));
    return {};
  },
  check: checkOf(file),
  message,
});

const OWNED_FILES = ["chat.key", "control.key", "metrics.key", "synthesis.db", "config.json"];

const problems: Problem[] = [
  ...["SYNTHESIS_WORKSPACE", "SYNTHESIS_HOME"].flatMap((setting) => [
    wrongPath(`${setting} that is a file`, setting, () => join(base, "file"), NEEDS_FOLDER),
    wrongPath(`${setting} below a file`, setting, () => join(base, "file/a/b"), NEEDS_FOLDER),
    wrongPath(`${setting} that is a broken link`, setting, () => join(base, "link"), BROKEN_LINK),
    wrongPath(`${setting} below a broken link`, setting, () => join(base, "link/a"), BROKEN_LINK),
    wrongPath(`${setting} below a link to itself`, setting, () => join(base, "loop/a/b"), BROKEN_LINK),
    wrongPath(`${setting} whose path is too long`, setting, () => join(base, "x".repeat(300)), /is too long/),
  ]),
  // access(2) says that root may write there, but it cannot.
  ...(process.platform === "linux"
    ? [wrongPath("SYNTHESIS_WORKSPACE in /proc", "SYNTHESIS_WORKSPACE", () => "/proc/x/y", /belongs to the kernel/)]
    : []),
  ...[...OWNED_FILES, "server.lock"].map((file) =>
    inStateFolder("that is a folder", file, (path) => mkdirSync(path), NEEDS_FILE),
  ),
  ...["run", "nowhere", "images"].map((folder) =>
    inStateFolder("that is a file", folder, (path) => writeFileSync(path, ""), NEEDS_FOLDER),
  ),
  ...["chat.key", "run", "server.lock"].map((file) =>
    inStateFolder("that is a broken link", file, (path) => symlinkSync(join(base, "missing"), path), BROKEN_LINK),
  ),
  ...OWNED_FILES.flatMap((file) =>
    [0o620, 0o602].map((mode) =>
      inStateFolder(`with the mode ${mode.toString(8)}`, file, () => chmodSync(put(file), mode), OTHERS_WRITE),
    ),
  ),
  // Only root can change the owner of a file.
  ...(isRoot
    ? [
        ...OWNED_FILES.map((file) =>
          inStateFolder(
            "that belongs to another user",
            file,
            () => chownSync(put(file), OTHER_USER, OTHER_USER),
            FOREIGN,
          ),
        ),
        {
          what: "a state folder that belongs to another user",
          cause: () => {
            chownSync(state, OTHER_USER, OTHER_USER);
            return {};
          },
          check: "state folder",
          message: FOREIGN,
        },
      ]
    : []),
];

const byName = problems.map((problem) => [problem.what, problem] as const);

describe.each(byName)("%s", (_what, { cause, check, message }) => {
  test("stops the start, and fails a check", async () => {
    const env = environment(cause());
    expect(() => start(env)).toThrow(ConfigError);
    expect(() => start(env)).toThrow(message);
    const checks = await runChecks(pathsFor(env.SYNTHESIS_HOME), env, {});
    expect(checks.filter(({ name }) => name === check)).toContainEqual({
      id: expect.any(String),
      name: check,
      result: "failed",
      found: expect.stringMatching(message),
      advice: expect.any(String),
    });
    // One problem does not hide the other checks, unless there is no configuration to check with.
    if (check !== "configuration") expect(checks.map(({ name }) => name)).toContain("claude");
  });
});

/** One problem for each way in which the program can meet it. */
const representative = [
  "SYNTHESIS_WORKSPACE that is a file",
  "SYNTHESIS_HOME below a link to itself",
  "config.json with the mode 620",
  "server.lock that is a broken link",
];

test.each(byName.filter(([what]) => representative.includes(what)))(
  "%s is reported by the program in one or two lines, with an exit code",
  async (_what, { cause, check, message }) => {
    const env = environment(cause());
    const run = async (...args: string[]) => {
      const child = Bun.spawn([...PROGRAM, ...args], { env, stdout: "pipe", stderr: "pipe" });
      const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      return { out, err, code };
    };
    const serve = await run("serve");
    expect([serve.code, serve.out, serve.err]).toEqual([2, "", expect.stringMatching(message)]);
    expect(serve.err.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
    const doctor = await run("doctor", "--json");
    const { ok, checks } = JSON.parse(doctor.out) as { ok: boolean; checks: Omit<Check, "id">[] };
    expect([doctor.code, ok, doctor.err]).toEqual([1, false, ""]);
    expect(checks).toContainEqual({
      name: check,
      result: "failed",
      found: expect.stringMatching(message),
      advice: expect.any(String),
    });
  },
);
