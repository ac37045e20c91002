/** `synthesis setup openclaw`, on a stand-in that changes its configuration as the real OpenClaw does. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROGRAM } from "../support/server.ts";
import { createWorld } from "../support/world.ts";

const KEY = "sk-synthesis-of-these-tests";
const REF = "synthesis/synthesis-claude-bridge";

let base: string;
let state: string;
let file: string;
let env: Record<string, string>;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  state = join(base, "state");
  file = join(base, "openclaw.json");
  mkdirSync(state, { mode: 0o700 });
  const stub = join(base, "openclaw");
  const script = join(import.meta.dir, "../support/stand-in-openclaw.ts");
  writeFileSync(stub, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, { mode: 0o755 });
  writeFileSync(join(state, "chat.key"), `${KEY}\n`, { mode: 0o600 });
  // Nobody listens there, unless a test says otherwise.
  env = {
    PATH: `${base}:/usr/bin:/bin`,
    HOME: base,
    SYNTHESIS_HOME: state,
    OPENCLAW_CONFIG_PATH: file,
    SYNTHESIS_BRIDGE_PORT: "9",
  };
});
afterEach(() => rmSync(base, { recursive: true }));

async function setup(...args: string[]): Promise<{ code: number; said: string }> {
  const child = Bun.spawn([...PROGRAM, "setup", "openclaw", ...args], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, said: stdout + stderr };
}

const put = (config: object) => writeFileSync(file, JSON.stringify(config));
const openClaw = () => Bun.JSON5.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
const provider = () =>
  (openClaw() as { models: { providers: { synthesis: Record<string, unknown> } } }).models.providers.synthesis;
const own = () => readFileSync(join(state, "config.json"), "utf8");
const copies = () => readdirSync(base).filter((name) => name.includes(".before-synthesis-"));

/** All that a person may have there, none of it ours. */
const theirs = () => ({
  models: { mode: "merge", providers: { house: { baseUrl: "http://127.0.0.1:8/v1", apiKey: "sk-house", models: [] } } },
  agents: {
    defaults: { model: { primary: "house/a", fallbacks: ["house/b"] }, modelPolicy: { allow: ["house/a"] } },
    entries: { main: { workspace: join(base, "w1") }, ops: { workspace: join(base, "w2"), model: "house/b" } },
  },
  plugins: { entries: { telegram: { enabled: true } }, load: { paths: ["/opt/their-plugin"] } },
  channels: { telegram: { botToken: "123:abc" } },
});

describe("on an OpenClaw that somebody has put work into", () => {
  test("puts in the provider, the plugin and the workspaces, and leaves all else as it is", async () => {
    put(theirs());
    const { code, said } = await setup("--yes");
    expect(code, said).toBe(0);
    const plugin = join(state, "openclaw-plugin");
    const { models, agents, plugins, ...rest } = theirs();
    expect(openClaw()).toEqual({
      ...rest,
      models: {
        ...models,
        providers: {
          ...models.providers,
          synthesis: {
            baseUrl: "http://127.0.0.1:9/v1",
            apiKey: KEY,
            timeoutSeconds: 3600,
            models: [
              {
                id: "synthesis-claude-bridge",
                name: "Claude Code",
                contextWindow: 200_000,
                maxTokens: 32_000,
                input: ["text", "image"],
                compat: { sendSessionAffinityHeaders: true, supportsPromptCacheKey: true },
              },
            ],
          },
        },
      },
      agents: { ...agents, defaults: { ...agents.defaults, modelPolicy: { allow: ["house/a", REF] } } },
      plugins: {
        entries: { ...plugins.entries, synthesis: { enabled: true } },
        load: { paths: ["/opt/their-plugin", plugin] },
      },
    });
    expect(readdirSync(plugin).sort()).toEqual(["index.js", "openclaw.plugin.json", "package.json"]);
    expect(JSON.parse(own())).toEqual({ allowedRoots: [join(state, "workspace"), join(base, "w1"), join(base, "w2")] });
    expect(said).toContain("No synthesis answers on port 9.");
    expect(said).not.toContain(KEY);
  });

  test("keeps a copy of its configuration that only its owner can read", async () => {
    put(theirs());
    await setup("--yes");
    const [copy = ""] = copies();
    expect(JSON.parse(readFileSync(join(base, copy), "utf8"))).toEqual(theirs());
    expect(statSync(join(base, copy)).mode & 0o777).toBe(0o600);
  });

  test("says before that its comments will be gone, and keeps them in the copy", async () => {
    const commented = "{ // mine\n  messages: { responsePrefix: '[bot]' } }";
    writeFileSync(file, commented);
    expect((await setup("--dry-run")).said).toContain("! OpenClaw writes its configuration without comments");
    await setup("--yes");
    expect(openClaw()).toMatchObject({ messages: { responsePrefix: "[bot]" } });
    expect(copies().map((copy) => readFileSync(join(base, copy), "utf8"))).toEqual([commented]);
    // By now it is JSON.
    expect((await setup("--dry-run", "--remove")).said).not.toContain("comments");
  });

  test("knows what is in files that it includes, and keeps copies of these, too", async () => {
    put({ agents: { $include: "./agents.json" }, models: { $include: ["models.json"], mode: "merge" } });
    writeFileSync(join(base, "agents.json"), JSON.stringify({ defaults: { model: "house/a" } }));
    const synthesis = { baseUrl: "http://127.0.0.1:1/v1", apiKey: KEY, models: [] };
    writeFileSync(join(base, "models.json"), JSON.stringify({ providers: { synthesis } }));
    const { said } = await setup("--dry-run");
    expect(said).toContain(".baseUrl: http://127.0.0.1:1/v1 → http://127.0.0.1:9/v1");
    // There is a default model, and it is somebody's choice.
    expect(said).not.toContain("agents.defaults.model");
    await setup("--yes");
    expect(
      copies()
        .map((copy) => copy.replace(/\.before.*/, ""))
        .sort(),
    ).toEqual(["agents.json", "models.json", "openclaw.json"]);
  });

  test("done twice, it changes nothing the second time", async () => {
    put(theirs());
    await setup("--yes");
    const [before, beforeOwn] = [readFileSync(file, "utf8"), own()];
    expect((await setup("--yes")).said).toContain("Nothing to change.");
    expect([readFileSync(file, "utf8"), own(), copies().length]).toEqual([before, beforeOwn, 1]);
  });

  test("--remove takes out what was put in, and nothing else", async () => {
    put(theirs());
    writeFileSync(join(state, "config.json"), '{\n  // mine\n  "allowedRoots": ["/srv"], "effort": "low",\n}\n');
    await setup("--yes", "--default");
    expect(openClaw()).toMatchObject({ agents: { defaults: { model: { primary: REF, fallbacks: ["house/b"] } } } });
    expect(Bun.JSONC.parse(own())).toMatchObject({ allowedRoots: ["/srv", join(base, "w1"), join(base, "w2")] });
    const { code, said } = await setup("--yes", "--remove");
    expect(code, said).toBe(0);
    expect(openClaw()).toEqual(theirs());
    expect(Bun.JSONC.parse(own())).toEqual({ allowedRoots: ["/srv"], effort: "low" });
    expect(own()).toContain("// mine");
    expect(readdirSync(state).filter((name) => name.startsWith("openclaw"))).toEqual([]);
    expect((await setup("--yes", "--remove")).said).toContain("Nothing to change.");
  });

  test("--dry-run shows it all and changes nothing", async () => {
    put(theirs());
    const { said } = await setup("--dry-run", "--default");
    for (const line of [
      "+ models.providers.synthesis: http://127.0.0.1:9/v1",
      `~ agents.defaults.model: house/a → ${REF}`,
      `+ agents.defaults.modelPolicy.allow: ${REF}`,
      "+ plugin synthesis",
      `+ allowedRoots: ${join(base, "w1")}`,
    ]) {
      expect(said).toContain(line);
    }
    expect([openClaw(), existsSync(join(state, "config.json")), copies()]).toEqual([theirs(), false, []]);
  });
});

describe("the provider", () => {
  test("keeps what a person has set in it, and gets what is missing or wrong", async () => {
    await setup("--yes");
    const { models } = openClaw() as { models: { providers: { synthesis: { models: object[] } } } };
    const synthesis = {
      ...models.providers.synthesis,
      baseUrl: "http://127.0.0.1:1/v1",
      apiKey: "sk-of-another-folder",
      timeoutSeconds: 60,
      headers: { "x-mine": "1" },
      models: [
        { id: "synthesis-claude-bridge", name: "My Claude", compat: { supportsTools: false } },
        { id: "other", name: "Other" },
      ],
    };
    put({ ...openClaw(), models: { providers: { synthesis } } });
    const { said } = await setup("--yes");
    expect(said).toContain(".baseUrl: http://127.0.0.1:1/v1 → http://127.0.0.1:9/v1");
    expect(said).not.toContain("sk-of-another-folder");
    expect(provider()).toMatchObject({
      baseUrl: "http://127.0.0.1:9/v1",
      apiKey: KEY,
      timeoutSeconds: 60,
      headers: { "x-mine": "1" },
      models: [
        {
          name: "My Claude",
          input: ["text", "image"],
          compat: { supportsTools: false, sendSessionAffinityHeaders: true, supportsPromptCacheKey: true },
        },
        { id: "other" },
      ],
    });
  });

  test("keeps a key that is a reference to a secret", async () => {
    await setup("--yes");
    const apiKey = { source: "env", provider: "default", id: "SYNTHESIS_KEY" };
    put({ ...openClaw(), models: { providers: { synthesis: { ...provider(), apiKey } } } });
    expect((await setup("--yes")).said).toContain("Nothing to change.");
    expect(provider().apiKey).toEqual(apiKey);
  });

  test("becomes the default where there is none, and is asked for otherwise", async () => {
    await setup("--yes");
    expect(openClaw()).toMatchObject({ agents: { defaults: { model: REF } } });
    put({ agents: { defaults: { model: "house/a" } } });
    await setup("--yes");
    expect(openClaw()).toMatchObject({ agents: { defaults: { model: "house/a" } } });
    await setup("--yes", "--default");
    expect(openClaw()).toMatchObject({ agents: { defaults: { model: REF } } });
    await setup("--yes", "--remove");
    expect(openClaw()).toMatchObject({ agents: { defaults: { model: "house/a" } } });
  });
});

test("a plugin of another version is renewed", async () => {
  await setup("--yes");
  const index = join(state, "openclaw-plugin/index.js");
  writeFileSync(index, "// an old one\n");
  expect((await setup("--yes")).said).toContain("~ plugin synthesis: 0.1.0, renewed");
  expect(readFileSync(index, "utf8")).toContain("definePluginEntry");
});

test("allowed roots from the environment stay there, and it says that they win", async () => {
  put(theirs());
  writeFileSync(join(state, "config.json"), '{ "allowedRoots": ["/srv"] }');
  env.SYNTHESIS_ALLOWED_ROOTS = "/opt";
  expect((await setup("--yes")).said).toContain(`add ${join(base, "w1")}:${join(base, "w2")} to it`);
  expect(JSON.parse(own())).toEqual({ allowedRoots: ["/srv", join(base, "w1"), join(base, "w2")] });
  await setup("--yes", "--remove");
  expect(JSON.parse(own())).toEqual({ allowedRoots: ["/srv"] });
});

describe("asked on a terminal", () => {
  /** Runs it in a terminal, and gives each answer once its question stands there. */
  async function answering(answers: [question: string, answer: string][]): Promise<string> {
    let screen = "";
    const left = [...answers];
    const decoder = new TextDecoder();
    const child = Bun.spawn([...PROGRAM, "setup", "openclaw"], {
      env,
      terminal: {
        cols: 200,
        rows: 50,
        data: (terminal, bytes) => {
          screen += decoder.decode(bytes, { stream: true });
          const [next] = left;
          if (!next || !screen.includes(next[0])) return;
          left.shift();
          terminal.write(`${next[1]}\r`);
        },
      },
    });
    await child.exited;
    expect(left).toEqual([]);
    return screen;
  }

  test("yes goes on", async () => {
    put({ agents: { defaults: { model: "house/a" } } });
    await answering([
      ["the default? [y/N]", "y"],
      ["Go on? [y/N]", "y"],
    ]);
    expect(openClaw()).toMatchObject({ agents: { defaults: { model: REF } }, models: { providers: {} } });
  });

  test("anything else does not", async () => {
    expect(await answering([["Go on? [y/N]", ""]])).toContain("Nothing was changed.");
    expect(existsSync(file)).toBe(false);
  });
});

test("where nobody can be asked, nothing is changed without --yes", async () => {
  put(theirs());
  const { said } = await setup();
  expect(said).toContain("Say --yes");
  expect(openClaw()).toEqual(theirs());
});

describe("says what to do when", () => {
  const cases: [what: string, prepare: () => string[], said: RegExp][] = [
    [
      "there is no OpenClaw",
      () => {
        env.PATH = "/usr/bin:/bin";
        return [];
      },
      /There is no openclaw on PATH.*--openclaw/s,
    ],
    [
      "the one that was named is not there",
      () => ["--openclaw", "/nowhere/openclaw"],
      /There is no \/nowhere\/openclaw/,
    ],
    ["it is another program", () => ["--openclaw", "/bin/echo"], /does not answer as expected/],
    [
      "its configuration is broken",
      () => {
        writeFileSync(file, "{ secret: 'sk-123', ");
        return ["--openclaw", join(base, "fixed")];
      },
      /cannot be read\. `openclaw config validate`/,
    ],
    [
      "the port changes with every start",
      () => {
        env.SYNTHESIS_BRIDGE_PORT = "0";
        return [];
      },
      /Set SYNTHESIS_BRIDGE_PORT/,
    ],
    [
      "OpenClaw refuses",
      () => {
        env.STAND_IN_FAILS = "config patch";
        return [];
      },
      /`openclaw config patch` failed: it cannot be done today/,
    ],
  ];
  test.each(cases)("%s", async (_what, prepare, told) => {
    const script = `#!/bin/sh\ncase "$1" in config) echo '{"path":"${file}"}';; agents) echo '[]';; *) echo 2026.9.6;; esac\n`;
    writeFileSync(join(base, "fixed"), script, { mode: 0o755 });
    const { code, said } = await setup("--yes", ...prepare());
    expect(said).toMatch(told);
    expect(said).not.toContain("sk-123");
    expect(code).toBe(2);
  });
});

test.each([
  ["by itself", {}],
  ["through the gateway, where one runs", { STAND_IN_GATEWAY: "1" }],
])("with a synthesis that runs, OpenClaw asks it for a word: %s", async (_how, more) => {
  // The stand-in for OpenClaw names no conversation, and that for claude prints no answers.
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_IDENTITY_FALLBACK: "default" } });
  env = {
    ...env,
    ...more,
    SYNTHESIS_HOME: join(world.claude.base, "state"),
    SYNTHESIS_WORKSPACE: world.claude.workspace,
  };
  // What it has just been allowed holds at once.
  const { code, said } = await setup("--yes");
  expect(code, said).toBe(0);
  expect(said).toContain("claude said: You said: Answer with the one word: ready");
});
