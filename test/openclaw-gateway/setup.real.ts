/** `synthesis setup openclaw` with the real OpenClaw and a configuration that has other entries. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "../support/mock-anthropic.ts";
import { createOpenClaw } from "../support/openclaw-gateway.ts";
import { PROGRAM, startServer } from "../support/server.ts";
import { createWorld } from "../support/world.ts";

const elaborate = (base: string) => ({
  models: {
    providers: {
      house: {
        baseUrl: "http://127.0.0.1:9/v1",
        apiKey: "sk-house-0000000000000000",
        headers: { "x-house": "yes" },
        models: [{ id: "large", name: "Large", contextWindow: 1000, maxTokens: 100, input: ["text"] }],
      },
    },
  },
  agents: {
    ownership: "explicit",
    defaults: {
      model: { primary: "house/large", fallbacks: ["house/large"] },
      models: { "house/large": { alias: "big" } },
      systemAgent: { agentId: "main" },
      compaction: { mode: "safeguard" },
    },
    entries: {
      main: { workspace: join(base, "main"), identity: { name: "Molly" } },
      ops: { workspace: join(base, "ops"), model: "house/large" },
    },
  },
  // biome-ignore lint/suspicious/noTemplateCurlyInString: OpenClaw's own form of a variable
  env: { vars: { SOME_TOKEN: "${HOME}" } },
  messages: { responsePrefix: "[bot]" },
  tools: { exec: { notifyOnExit: false } },
  plugins: { entries: { telegram: { enabled: false } } },
});

async function runSetup(env: Record<string, string>, args: readonly string[]): Promise<string> {
  const child = Bun.spawn([...PROGRAM, "setup", "openclaw", ...args], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect(await child.exited, stdout + stderr).toBe(0);
  return stdout;
}

test("adds our entries, which work, and removes them again without changing other entries", async () => {
  const home = { state: "" };
  await using world = await createWorld({
    prepare: ({ base }) => {
      home.state = join(base, "state");
      for (const folder of ["main", "ops"]) mkdirSync(join(base, folder));
      mkdirSync(home.state, { mode: 0o700 });
      writeFileSync(join(home.state, "config.json"), '{\n  // mine\n  "effort": "low",\n}\n');
    },
  });
  const { base } = world.claude;
  await using openclaw = await createOpenClaw(elaborate(base));
  // OpenClaw adds its own metadata with its first write, so the test makes one before.
  const patched = await openclaw.run("config", "set", "messages.responsePrefix", "[molly]");
  expect(patched).toMatchObject({ code: 0 });
  const before = openclaw.config();
  const env = {
    ...openclaw.env,
    PATH: `${dirname(openclaw.program)}:${openclaw.env.PATH}`,
    SYNTHESIS_HOME: home.state,
    SYNTHESIS_WORKSPACE: world.claude.workspace,
  };
  const setup = (...args: string[]) => runSetup(env, args);
  const ours = join(home.state, "config.json");
  const config = () => readFileSync(ours, "utf8");

  expect(await setup("--dry-run")).toMatch(/\+ models\.providers\.synthesis/);
  expect([openclaw.config(), existsSync(join(home.state, "openclaw-plugin"))]).toEqual([before, false]);

  world.mock.on(/one word/, function* () {
    yield text("ready");
  });
  const done = await setup("--yes", "--default");
  // The roots that setup has just allowed take effect at once.
  expect(done).toContain("Claude answered: ready");
  expect(done).not.toContain(world.server.key);
  const { meta: _meta, ...now } = openclaw.config() as Record<string, Record<string, Record<string, unknown>>>;
  const { meta: _before, ...then } = before as Record<string, Record<string, Record<string, unknown>>>;
  expect(now).toEqual({
    ...then,
    models: {
      providers: {
        ...then.models?.providers,
        synthesis: expect.objectContaining({ baseUrl: `${world.server.url}/v1`, apiKey: world.server.key }),
      },
    },
    agents: {
      ...then.agents,
      defaults: {
        ...then.agents?.defaults,
        model: { primary: "synthesis/synthesis-claude-bridge", fallbacks: ["house/large"] },
        modelPolicy: { allow: ["house/large", "synthesis/synthesis-claude-bridge"] },
      },
    },
    plugins: {
      ...then.plugins,
      entries: { ...then.plugins?.entries, synthesis: { enabled: true } },
      load: { paths: [join(home.state, "openclaw-plugin")] },
    },
  });
  expect(config()).toContain("// mine");
  expect(Bun.JSONC.parse(config())).toEqual({
    effort: "low",
    allowedRoots: [world.claude.workspace, join(base, "main"), join(base, "ops")],
  });
  const copies = readdirSync(dirname(openclaw.configFile)).filter((file) => file.includes(".before-synthesis-"));
  expect(copies.map((file) => statSync(join(dirname(openclaw.configFile), file)).mode & 0o777)).toEqual([0o600]);

  // After a restart on another port, setup corrects the address, and the live check succeeds.
  await world.server.stop();
  const server = await startServer(world.serverEnv);
  const again = await setup("--yes");
  expect(again).toContain("Claude answered: ready");
  expect(again).toContain(`.baseUrl: ${world.server.url}/v1 → ${server.url}/v1`);
  expect(await setup("--dry-run")).toContain("Nothing to change.");

  const doctor = Bun.spawn([...PROGRAM, "doctor", "--json"], { env: { ...world.serverEnv, ...env }, stdout: "pipe" });
  const { checks } = (await doctor.stdout.json()) as { checks: { name: string; result: string }[] };
  expect(checks.filter(({ name }) => name.startsWith("OpenClaw")).map(({ result }) => result)).toEqual(
    Array(4).fill("ok"),
  );

  await setup("--yes", "--remove");
  const { meta: _after, ...left } = openclaw.config();
  expect(left).toEqual(then);
  expect(config()).toBe('{\n  // mine\n  "effort": "low",\n}\n');
  expect(existsSync(join(home.state, "openclaw-plugin"))).toBe(false);
  await server.stop();
}, 300_000);

test("adds and removes our entries while a gateway with a small configuration runs", async () => {
  await using world = await createWorld();
  await using openclaw = await createOpenClaw({ agents: { defaults: { workspace: world.claude.workspace } } });
  await openclaw.startGateway();
  const env = {
    ...openclaw.env,
    PATH: `${dirname(openclaw.program)}:${openclaw.env.PATH}`,
    SYNTHESIS_HOME: join(world.claude.base, "state"),
    SYNTHESIS_WORKSPACE: world.claude.workspace,
  };
  expect(await runSetup(env, ["--yes"])).toContain("Claude answered: You said:");
  expect(await openclaw.say("live words", "agent:main:live")).toContain("live words");
  // Our plugin sends the session key.
  expect((await world.mock.request(/live words/)).asked).toContain('chat_id="agent:main:live"');

  await runSetup(env, ["--yes", "--remove"]);
  expect(openclaw.config()).toMatchObject({ agents: { defaults: { workspace: world.claude.workspace } } });
  expect(JSON.stringify(openclaw.config())).not.toMatch(/synthesis-claude-bridge|openclaw-plugin|apiKey/);
}, 300_000);
