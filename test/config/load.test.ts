/** Loading the configuration: which source wins, and how mistakes are reported. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ConfigError } from "../../src/config/config-error.ts";
import { loadChatKey, loadControlKey } from "../../src/config/keys.ts";
import { loadConfig } from "../../src/config/load.ts";
import { pathsFor } from "../../src/config/paths.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "synthesis-test-"));
});
afterAll(() => rmSync(home, { recursive: true }));

const load = (file: string | object, env: Record<string, string> = {}, flags: object = {}) => {
  const paths = pathsFor(home);
  writeFileSync(paths.configFile, typeof file === "string" ? file : JSON.stringify(file));
  return loadConfig(paths, env, flags);
};

describe("a setting", () => {
  test("comes from the defaults, the file, the environment or the command line, and the last one wins", () => {
    expect(load({}).bridgePort).toBe(18990);
    expect(load({ bridgePort: 1 }).bridgePort).toBe(1);
    expect(load({ bridgePort: 1 }, { SYNTHESIS_BRIDGE_PORT: "2" }).bridgePort).toBe(2);
    expect(load({ bridgePort: 1 }, { SYNTHESIS_BRIDGE_PORT: "2" }, { bridgePort: "3" }).bridgePort).toBe(3);
  });

  test("may have a comment in the file", () => {
    expect(load('{\n  // mine\n  "bridgePort": 5,\n}').bridgePort).toBe(5);
  });

  test("may be a list, as JSON or as text", () => {
    expect(load({ allowedTools: ["Read", "Bash(git log:*)"] }).allowedTools).toEqual(["Read", "Bash(git log:*)"]);
    expect(load({}, { SYNTHESIS_ALLOWED_TOOLS: "Read, Bash(git log:*) Edit" }).allowedTools).toEqual([
      "Read",
      "Bash(git log:*)",
      "Edit",
    ]);
    expect(load({}, { SYNTHESIS_ALLOWED_ROOTS: "/a:/b" }).allowedRoots).toEqual(["/a", "/b"]);
  });

  test("that is the address of a receiver is checked, and is in no error", () => {
    const url = "https://ann:token@example.com/topic";
    expect(load({ notifyUrl: url }).notifyUrl).toBe(url);
    expect(load({ notifyUrl: url }, {}, { notifyUrl: "" }).notifyUrl).toBe("");
    expect(load({ notifyUrl: url, notifyFormat: "ntfy" }).notifyFormat).toBe("ntfy");
    for (const wrong of ["ftp://ann:token@example.com/x", "token", "http://", 7]) {
      const failing = () => load({ notifyUrl: wrong });
      expect(failing).toThrow(/^notifyUrl in .*: expected an address such as https:\S+$/);
      expect(failing).not.toThrow(/token/);
    }
    const failing = () =>
      load({}, { SYNTHESIS_NOTIFY_URL: "https://tk_token@ntfy.sh", SYNTHESIS_NOTIFY_FORMAT: "ntfy" });
    expect(failing).toThrow(/names no topic/);
    expect(failing).not.toThrow(/tk_token/);
  });

  test("is not set by an empty variable", () => {
    expect(load({}, { SYNTHESIS_BRIDGE_PORT: "" }).bridgePort).toBe(18990);
  });

  test("that is a path may begin with ~", () => {
    expect(load({ workspace: "~/w", claudeBin: "~/bin/claude" })).toMatchObject({
      workspace: join(homedir(), "w"),
      claudeBin: join(homedir(), "bin/claude"),
    });
    expect(load({}, { SYNTHESIS_ALLOWED_ROOTS: "/a:~/b:~c" }).allowedRoots).toEqual([
      "/a",
      join(homedir(), "b"),
      resolve("~c"),
    ]);
    expect(load({ agents: { ops: { workspace: "~" } } }).agents).toEqual({ ops: { workspace: homedir() } });
    expect(pathsFor("~/state").home).toBe(join(homedir(), "state"));
  });

  test("without allowed roots allows the workspace", () => {
    expect(load({ workspace: "/w" }).allowedRoots).toEqual(["/w"]);
  });
});

describe("reports the source and the name of", () => {
  const cases: [what: string, load: () => unknown, message: RegExp][] = [
    [
      "an unknown setting in the file",
      () => load({ bridgePrt: 1 }),
      /bridgePrt in .*config\.json is not a setting.*Did you mean bridgePort\?/,
    ],
    [
      "an unknown variable",
      () => load({}, { SYNTHESIS_BRIDGE_PROT: "1" }),
      /SYNTHESIS_BRIDGE_PROT.*Did you mean SYNTHESIS_BRIDGE_PORT\?/,
    ],
    [
      "a variable name in the file",
      () => load({ SYNTHESIS_IDLE_KILL_MS: 1 }),
      /SYNTHESIS_IDLE_KILL_MS in .*config\.json is not a setting.*Did you mean idleKillMs\?/,
    ],
    [
      "an unknown variable that resembles no setting",
      () => load({}, { SYNTHESIS_FOO: "1" }),
      /SYNTHESIS_FOO .*of synthesis\.$/,
    ],
    [
      "text for a number",
      () => load({}, { SYNTHESIS_IDLE_KILL_MS: "abc" }),
      /SYNTHESIS_IDLE_KILL_MS in the environment: expected a whole number of milliseconds from 1 to \d+, not "abc"$/,
    ],
    [
      "a fraction for a whole number",
      () => load({ bridgePort: 1.5 }),
      /expected a whole number from 0 to 65535, not 1\.5$/,
    ],
    ["a number that is too large", () => load({ spares: 17 }), /expected a whole number from 0 to 16, not 17$/],
    [
      "text for true or false",
      () => load({}, { SYNTHESIS_USE_API_KEY: "perhaps" }),
      /expected true or false, not "perhaps"$/,
    ],
    [
      "a value that is not one of several",
      () => load({ reply: "loud" }),
      /reply in .*: expected one of live, tool, not "loud"$/,
    ],
    ["a number for a list", () => load({ allowedRoots: 5 }), /allowedRoots in .*: expected a list, not 5$/],
    [
      "an agent without a path",
      () => load({ agents: { ops: { workspace: 5 } } }),
      /agents\[ops\.workspace\].*a path, not 5$/,
    ],
    [
      "a key that is too short, without quoting it",
      () => load({ apiKey: "secret" }),
      /expected text of at least 16 characters$/,
    ],
    ["an unknown setting that resembles no other", () => load({ zzzzzzzzzzz: 1 }), /not a setting of synthesis\.$/],
    [
      "an invalid variable",
      () => load({}, { SYNTHESIS_BRIDGE_PORT: "many" }),
      /SYNTHESIS_BRIDGE_PORT in the environment/,
    ],
    [
      "an invalid option of the command line",
      () => load({}, {}, { bridgePort: "70000" }),
      /--bridge-port in the command line/,
    ],
    ["an invalid value in the file", () => load({ permissionMode: "yolo" }), /permissionMode in .*config\.json/],
    ["a file that is not valid JSON", () => load("{"), /config\.json is not valid JSON/],
  ];
  test.each(cases)("%s", (_what, run, message) => {
    expect(run).toThrow(ConfigError);
    expect(run).toThrow(message);
  });
});

test("accepts the variables in the shell of an agent process", () => {
  expect(load({}, { SYNTHESIS_BRIDGE_TOKEN: "x", SYNTHESIS_HOOK_TOKEN: "x", SYNTHESIS_HOME: "/x" }).bridgePort).toBe(
    18990,
  );
});

describe("the chat key", () => {
  test("is created once, for its owner only", () => {
    const file = join(home, "fresh/chat.key");
    const key = loadChatKey(file);
    expect(key).toMatch(/^sk-synthesis-[\w-]{32}$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(loadChatKey(file)).toBe(key);
  });

  test("is made unreadable for other users", () => {
    const file = join(home, "open.key");
    const key = loadChatKey(file);
    chmodSync(file, 0o644);
    expect(loadChatKey(file)).toBe(key);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("cannot be empty", () => {
    const file = join(home, "empty.key");
    writeFileSync(file, "");
    expect(() => loadChatKey(file)).toThrow("contains no key");
  });

  test("has another prefix than the control key", () => {
    const file = join(home, "control.key");
    expect(loadControlKey(file)).toMatch(/^control-synthesis-[\w-]{32}$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});
