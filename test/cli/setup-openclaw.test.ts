/** `synthesis setup openclaw` with a stand-in for OpenClaw that changes its configuration as the real one does. */
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
  // Nothing listens on this port, except in the test that starts a server.
  env = {
    PATH: `${base}:/usr/bin:/bin`,
    HOME: base,
    SYNTHESIS_HOME: state,
    OPENCLAW_CONFIG_PATH: file,
    SYNTHESIS_BRIDGE_PORT: "9",
  };
});
afterEach(() => rmSync(base, { recursive: true }));

async function setup(...args: string[]): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([...PROGRAM, "setup", "openclaw", ...args], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, output: stdout + stderr };
}

const writeOpenClawConfig = (config: object) => writeFileSync(file, JSON.stringify(config));
const openClawConfig = () => Bun.JSON5.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
const provider = () =>
  (openClawConfig() as { models: { providers: { synthesis: Record<string, unknown> } } }).models.providers.synthesis;
const ourConfig = () => readFileSync(join(state, "config.json"), "utf8");
const backups = () => readdirSync(base).filter((name) => name.includes(".before-synthesis-"));

/** A configuration of a user who does not know synthesis yet. */
const usersConfig = () => ({
  models: { mode: "merge", providers: { house: { baseUrl: "http://127.0.0.1:8/v1", apiKey: "sk-house", models: [] } } },
  agents: {
    defaults: { model: { primary: "house/a", fallbacks: ["house/b"] }, modelPolicy: { allow: ["house/a"] } },
    entries: { main: { workspace: join(base, "w1") }, ops: { workspace: join(base, "w2"), model: "house/b" } },
  },
  plugins: { entries: { telegram: { enabled: true } }, load: { paths: ["/opt/their-plugin"] } },
  channels: { telegram: { botToken: "123:abc" } },
});

describe("with an OpenClaw that runs elsewhere", () => {
  test.each([
    ["http://127.0.0.1:7", "http://127.0.0.1:7/v1"],
    ["http://localhost:7/claude/v1/", "http://localhost:7/claude/v1"],
  ])(
    "--base-url %s becomes the provider's, stays so with the next setup, and local undoes it",
    async (given, url) => {
      writeOpenClawConfig(usersConfig());
      const { code, output } = await setup("--yes", "--base-url", given);
      expect(code, output).toBe(0);
      expect(output).toContain(`From here no synthesis answers at ${url}.`);
      expect(provider()?.baseUrl).toBe(url);
      expect((await setup("--yes")).output).toContain("Nothing to change.");
      expect(provider()?.baseUrl).toBe(url);
      await setup("--yes", "--base-url", "local");
      expect(provider()?.baseUrl).toBe("http://127.0.0.1:9/v1");
    },
    60_000,
  );

  test.each(["host.docker.internal:8080", "ftp://a/v1", "http://me:secret@a/v1", "http://a/v1?x=1"])(
    "--base-url %s is refused, and nothing is changed",
    async (given) => {
      writeOpenClawConfig(usersConfig());
      const { code, output } = await setup("--yes", "--base-url", given);
      expect([code, output]).toEqual([2, expect.stringContaining("--base-url must be an http or https URL")]);
      expect(openClawConfig()).toEqual(usersConfig());
    },
  );
});

describe("with an OpenClaw that its user has configured", () => {
  test("adds the provider, the plugin and the workspaces, and changes nothing else", async () => {
    writeOpenClawConfig(usersConfig());
    const { code, output } = await setup("--yes");
    expect(code, output).toBe(0);
    const plugin = join(state, "openclaw-plugin");
    const { models, agents, plugins, ...rest } = usersConfig();
    expect(openClawConfig()).toEqual({
      ...rest,
      models: {
        ...models,
        providers: {
          ...models.providers,
          synthesis: {
            baseUrl: "http://127.0.0.1:9/v1",
            apiKey: KEY,
            api: "openai-completions",
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
    expect(JSON.parse(ourConfig())).toEqual({
      allowedRoots: [join(state, "workspace"), join(base, "w1"), join(base, "w2")],
    });
    expect(output).toContain("No synthesis answers at http://127.0.0.1:9/v1.");
    expect(output).not.toContain(KEY);
  });

  test("backs the configuration up in a file that only its owner can read", async () => {
    writeOpenClawConfig(usersConfig());
    await setup("--yes");
    const [backup = ""] = backups();
    expect(JSON.parse(readFileSync(join(base, backup), "utf8"))).toEqual(usersConfig());
    expect(statSync(join(base, backup)).mode & 0o777).toBe(0o600);
  });

  test("warns that OpenClaw drops comments, and keeps them in the backup", async () => {
    const commented = "{ // mine\n  messages: { responsePrefix: '[bot]' } }";
    writeFileSync(file, commented);
    expect((await setup("--dry-run")).output).toContain("! OpenClaw writes its configuration without comments");
    await setup("--yes");
    expect(openClawConfig()).toMatchObject({ messages: { responsePrefix: "[bot]" } });
    expect(backups().map((backup) => readFileSync(join(base, backup), "utf8"))).toEqual([commented]);
    // OpenClaw has written it as JSON by now.
    expect((await setup("--dry-run", "--remove")).output).not.toContain("comments");
  });

  test("reads the files that the configuration includes, and backs them up too", async () => {
    writeOpenClawConfig({
      agents: { $include: "./agents.json" },
      models: { $include: ["models.json"], mode: "merge" },
    });
    writeFileSync(join(base, "agents.json"), JSON.stringify({ defaults: { model: "house/a" } }));
    const synthesis = { baseUrl: "http://127.0.0.1:1/v1", apiKey: KEY, models: [] };
    writeFileSync(join(base, "models.json"), JSON.stringify({ providers: { synthesis } }));
    const { output } = await setup("--dry-run");
    expect(output).toContain(".baseUrl: http://127.0.0.1:1/v1 → http://127.0.0.1:9/v1");
    // The included file has a default model, which the user has chosen.
    expect(output).not.toContain("agents.defaults.model");
    await setup("--yes");
    expect(
      backups()
        .map((backup) => backup.replace(/\.before.*/, ""))
        .sort(),
    ).toEqual(["agents.json", "models.json", "openclaw.json"]);
  });

  test("changes nothing the second time", async () => {
    writeOpenClawConfig(usersConfig());
    await setup("--yes");
    const [before, ourConfigBefore] = [readFileSync(file, "utf8"), ourConfig()];
    expect((await setup("--yes")).output).toContain("Nothing to change.");
    expect([readFileSync(file, "utf8"), ourConfig(), backups().length]).toEqual([before, ourConfigBefore, 1]);
  });

  test("--remove undoes the setup, and changes nothing else", async () => {
    writeOpenClawConfig(usersConfig());
    writeFileSync(join(state, "config.json"), '{\n  // mine\n  "allowedRoots": ["/srv"], "effort": "low",\n}\n');
    await setup("--yes", "--default");
    expect(openClawConfig()).toMatchObject({
      agents: { defaults: { model: { primary: REF, fallbacks: ["house/b"] } } },
    });
    expect(Bun.JSONC.parse(ourConfig())).toMatchObject({ allowedRoots: ["/srv", join(base, "w1"), join(base, "w2")] });
    const { code, output } = await setup("--yes", "--remove");
    expect(code, output).toBe(0);
    expect(openClawConfig()).toEqual(usersConfig());
    expect(Bun.JSONC.parse(ourConfig())).toEqual({ allowedRoots: ["/srv"], effort: "low" });
    expect(ourConfig()).toContain("// mine");
    expect(readdirSync(state).filter((name) => name.startsWith("openclaw"))).toEqual([]);
    expect((await setup("--yes", "--remove")).output).toContain("Nothing to change.");
  });

  test("--dry-run shows every change and makes none", async () => {
    writeOpenClawConfig(usersConfig());
    const { output } = await setup("--dry-run", "--default");
    for (const line of [
      "+ models.providers.synthesis: http://127.0.0.1:9/v1",
      `~ agents.defaults.model: house/a → ${REF}`,
      `+ agents.defaults.modelPolicy.allow: ${REF}`,
      "+ plugin synthesis",
      `+ allowedRoots: ${join(base, "w1")}`,
    ]) {
      expect(output).toContain(line);
    }
    expect([openClawConfig(), existsSync(join(state, "config.json")), backups()]).toEqual([usersConfig(), false, []]);
  });
});

describe("the provider", () => {
  test("keeps the fields that the user has set, and corrects missing and wrong ones", async () => {
    await setup("--yes");
    const { models } = openClawConfig() as { models: { providers: { synthesis: { models: object[] } } } };
    const synthesis = {
      ...models.providers.synthesis,
      baseUrl: "http://127.0.0.1:1/v1",
      apiKey: "sk-of-another-folder",
      api: "openai-responses",
      timeoutSeconds: 60,
      headers: { "x-mine": "1" },
      models: [
        { id: "synthesis-claude-bridge", name: "My Claude", compat: { supportsTools: false } },
        { id: "other", name: "Other" },
      ],
    };
    writeOpenClawConfig({ ...openClawConfig(), models: { providers: { synthesis } } });
    const { output } = await setup("--yes");
    expect(output).toContain(".baseUrl: http://127.0.0.1:1/v1 → http://127.0.0.1:9/v1");
    expect(output).not.toContain("sk-of-another-folder");
    expect(provider()).toMatchObject({
      baseUrl: "http://127.0.0.1:9/v1",
      apiKey: KEY,
      api: "openai-responses",
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
    writeOpenClawConfig({ ...openClawConfig(), models: { providers: { synthesis: { ...provider(), apiKey } } } });
    expect((await setup("--yes")).output).toContain("Nothing to change.");
    expect(provider().apiKey).toEqual(apiKey);
  });

  test("becomes the default where there is none, and with --default", async () => {
    await setup("--yes");
    expect(openClawConfig()).toMatchObject({ agents: { defaults: { model: REF } } });
    writeOpenClawConfig({ agents: { defaults: { model: "house/a" } } });
    await setup("--yes");
    expect(openClawConfig()).toMatchObject({ agents: { defaults: { model: "house/a" } } });
    await setup("--yes", "--default");
    expect(openClawConfig()).toMatchObject({ agents: { defaults: { model: REF } } });
    await setup("--yes", "--remove");
    expect(openClawConfig()).toMatchObject({ agents: { defaults: { model: "house/a" } } });
  });
});

test("a plugin of another version is updated", async () => {
  await setup("--yes");
  const index = join(state, "openclaw-plugin/index.js");
  writeFileSync(index, "// an old one\n");
  expect((await setup("--yes")).output).toContain("~ plugin synthesis: 0.1.0, updated");
  expect(readFileSync(index, "utf8")).toContain("definePluginEntry");
});

test("says that allowed roots in the environment win over the file", async () => {
  writeOpenClawConfig(usersConfig());
  writeFileSync(join(state, "config.json"), '{ "allowedRoots": ["/srv"] }');
  env.SYNTHESIS_ALLOWED_ROOTS = "/opt";
  expect((await setup("--yes")).output).toContain(`Add ${join(base, "w1")}:${join(base, "w2")} to it`);
  expect(JSON.parse(ourConfig())).toEqual({ allowedRoots: ["/srv", join(base, "w1"), join(base, "w2")] });
  await setup("--yes", "--remove");
  expect(JSON.parse(ourConfig())).toEqual({ allowedRoots: ["/srv"] });
});

describe("in a terminal", () => {
  /** Runs the command in a terminal, and gives each answer when its question is shown. */
  async function answering(answers: [question: string, answer: string][]): Promise<string> {
    let screen = "";
    const unanswered = [...answers];
    const decoder = new TextDecoder();
    const child = Bun.spawn([...PROGRAM, "setup", "openclaw"], {
      env,
      terminal: {
        cols: 200,
        rows: 50,
        data: (terminal, bytes) => {
          screen += decoder.decode(bytes, { stream: true });
          const [next] = unanswered;
          if (!next || !screen.includes(next[0])) return;
          unanswered.shift();
          terminal.write(`${next[1]}\r`);
        },
      },
    });
    await child.exited;
    expect(unanswered).toEqual([]);
    return screen;
  }

  test("continues after a yes", async () => {
    writeOpenClawConfig({ agents: { defaults: { model: "house/a" } } });
    await answering([
      ["the default? [y/N]", "y"],
      ["Continue? [y/N]", "y"],
    ]);
    expect(openClawConfig()).toMatchObject({ agents: { defaults: { model: REF } }, models: { providers: {} } });
  });

  test("changes nothing after any other answer", async () => {
    expect(await answering([["Continue? [y/N]", ""]])).toContain("Nothing was changed.");
    expect(existsSync(file)).toBe(false);
  });
});

test("changes nothing without a terminal and without --yes", async () => {
  writeOpenClawConfig(usersConfig());
  const { output } = await setup();
  expect(output).toContain("Use --yes");
  expect(openClawConfig()).toEqual(usersConfig());
});

describe("says what to do when", () => {
  const cases: [what: string, prepare: () => string[], output: RegExp][] = [
    [
      "there is no OpenClaw",
      () => {
        env.PATH = "/usr/bin:/bin";
        return [];
      },
      /There is no openclaw on PATH.*--openclaw/s,
    ],
    [
      "the given OpenClaw does not exist",
      () => ["--openclaw", "/nowhere/openclaw"],
      /There is no program \/nowhere\/openclaw/,
    ],
    ["the program is not OpenClaw", () => ["--openclaw", "/bin/echo"], /output of `openclaw` is not as expected/],
    [
      "the configuration of OpenClaw is invalid",
      () => {
        writeFileSync(file, "{ secret: 'sk-123', ");
        return ["--openclaw", join(base, "fixed")];
      },
      /is invalid\. Run `openclaw config validate`/,
    ],
    [
      "the port is 0, and so changes with every start",
      () => {
        env.SYNTHESIS_BRIDGE_PORT = "0";
        return [];
      },
      /Set SYNTHESIS_BRIDGE_PORT/,
    ],
    [
      "OpenClaw refuses a change",
      () => {
        env.STAND_IN_FAILS = "config patch";
        return [];
      },
      /`openclaw config patch` failed: the command fails/,
    ],
  ];
  test.each(cases)("%s", async (_what, prepare, message) => {
    const script = `#!/bin/sh\ncase "$1" in config) echo '{"path":"${file}"}';; agents) echo '[]';; *) echo 2026.9.6;; esac\n`;
    writeFileSync(join(base, "fixed"), script, { mode: 0o755 });
    const { code, output } = await setup("--yes", ...prepare());
    expect(output).toMatch(message);
    expect(output).not.toContain("sk-123");
    expect(code).toBe(2);
  });
});

test.each([
  ["itself", {}],
  ["through its gateway, while that runs", { STAND_IN_GATEWAY: "1" }],
])("when a synthesis runs, OpenClaw sends it a message: %s", async (_how, more) => {
  // OpenClaw's stand-in names no conversation, and Claude's stand-in does not answer one-shots.
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_IDENTITY_FALLBACK: "default" } });
  env = {
    ...env,
    ...more,
    SYNTHESIS_HOME: join(world.claude.base, "state"),
    SYNTHESIS_WORKSPACE: world.claude.workspace,
  };
  // The running server already allows the workspace that was just added.
  const { code, output } = await setup("--yes");
  expect(code, output).toBe(0);
  expect(output).toContain("Claude answered: You said: Answer with the one word: ready");
});
