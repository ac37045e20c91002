/** The configuration: which layer wins, and what is said about mistakes. */
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
  test("comes from the default, the file, the environment, the command line, the later the stronger", () => {
    expect(load({}).bridgePort).toBe(18990);
    expect(load({ bridgePort: 1 }).bridgePort).toBe(1);
    expect(load({ bridgePort: 1 }, { SYNTHESIS_BRIDGE_PORT: "2" }).bridgePort).toBe(2);
    expect(load({ bridgePort: 1 }, { SYNTHESIS_BRIDGE_PORT: "2" }, { bridgePort: "3" }).bridgePort).toBe(3);
  });

  test("may be commented in the file", () => {
    expect(load('{\n  // mine\n  "bridgePort": 5,\n}').bridgePort).toBe(5);
  });

  test("may be a list, written as such or in one line", () => {
    expect(load({ allowedTools: ["Read", "Bash(git log:*)"] }).allowedTools).toEqual(["Read", "Bash(git log:*)"]);
    expect(load({}, { SYNTHESIS_ALLOWED_TOOLS: "Read, Bash(git log:*) Edit" }).allowedTools).toEqual([
      "Read",
      "Bash(git log:*)",
      "Edit",
    ]);
    expect(load({}, { SYNTHESIS_ALLOWED_ROOTS: "/a:/b" }).allowedRoots).toEqual(["/a", "/b"]);
  });

  test("left empty in the environment is not set", () => {
    expect(load({}, { SYNTHESIS_BRIDGE_PORT: "" }).bridgePort).toBe(18990);
  });

  test("that is a path may begin with ~, which no shell expands within quotes", () => {
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

  test("allows the workspace when no roots are given", () => {
    expect(load({ workspace: "/w" }).allowedRoots).toEqual(["/w"]);
  });
});

describe("a mistake is told with its place and a way out", () => {
  const cases: [what: string, load: () => unknown, message: RegExp][] = [
    [
      "an unknown name in the file",
      () => load({ bridgePrt: 1 }),
      /bridgePrt in .*config\.json is not a setting.*Did you mean bridgePort\?/,
    ],
    [
      "an unknown variable",
      () => load({}, { SYNTHESIS_BRIDGE_PROT: "1" }),
      /SYNTHESIS_BRIDGE_PROT.*Did you mean SYNTHESIS_BRIDGE_PORT\?/,
    ],
    [
      "a variable's name in the file",
      () => load({ SYNTHESIS_IDLE_KILL_MS: 1 }),
      /SYNTHESIS_IDLE_KILL_MS in .*config\.json is not a setting.*Did you mean idleKillMs\?/,
    ],
    ["a variable like no other", () => load({}, { SYNTHESIS_FOO: "1" }), /SYNTHESIS_FOO .*of synthesis\.$/],
    [
      "a word for a number",
      () => load({}, { SYNTHESIS_IDLE_KILL_MS: "abc" }),
      /SYNTHESIS_IDLE_KILL_MS in the environment: expected a whole number of milliseconds from 1 to \d+, not "abc"$/,
    ],
    ["half a number", () => load({ bridgePort: 1.5 }), /expected a whole number from 0 to 65535, not 1\.5$/],
    ["a number too large", () => load({ spares: 17 }), /expected a whole number from 0 to 16, not 17$/],
    [
      "neither yes nor no",
      () => load({}, { SYNTHESIS_USE_API_KEY: "perhaps" }),
      /expected true or false, not "perhaps"$/,
    ],
    [
      "a word that is not offered",
      () => load({ reply: "loud" }),
      /reply in .*: expected one of live, tool, not "loud"$/,
    ],
    ["a number for a list", () => load({ allowedRoots: 5 }), /allowedRoots in .*: expected a list of texts, not 5$/],
    [
      "an agent without a path",
      () => load({ agents: { ops: { workspace: 5 } } }),
      /agents\[ops\.workspace\].*a path, not 5$/,
    ],
    [
      "a key too short, which is not shown",
      () => load({ apiKey: "secret" }),
      /expected a text of at least 16 characters$/,
    ],
    ["a name like no other", () => load({ zzzzzzzzzzz: 1 }), /not a setting of synthesis\.$/],
    [
      "a value of the wrong kind",
      () => load({}, { SYNTHESIS_BRIDGE_PORT: "many" }),
      /SYNTHESIS_BRIDGE_PORT in the environment/,
    ],
    ["a value out of range", () => load({}, {}, { bridgePort: "70000" }), /--bridge-port in the command line/],
    ["a value not in the list", () => load({ permissionMode: "yolo" }), /permissionMode in .*config\.json/],
    ["a file that is no JSON", () => load("{"), /config\.json is not valid JSON/],
  ];
  test.each(cases)("%s", (_what, run, message) => {
    expect(run).toThrow(ConfigError);
    expect(run).toThrow(message);
  });
});

test("what a claude's shell has in its environment is no mistake", () => {
  expect(load({}, { SYNTHESIS_BRIDGE_TOKEN: "x", SYNTHESIS_HOOK_TOKEN: "x", SYNTHESIS_HOME: "/x" }).bridgePort).toBe(
    18990,
  );
});

describe("the chat key", () => {
  test("is made once, for its owner only", () => {
    const file = join(home, "fresh/chat.key");
    const key = loadChatKey(file);
    expect(key).toMatch(/^sk-synthesis-[\w-]{32}$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(loadChatKey(file)).toBe(key);
  });

  test("is taken away from others", () => {
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

  test("is not the control key, nor looks like it", () => {
    const file = join(home, "control.key");
    expect(loadControlKey(file)).toMatch(/^control-synthesis-[\w-]{32}$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});
