/** On the real claude: which engine `auto` chooses, what is said about it, and how a conversation moves to the other. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startMockAnthropic } from "../support/mock-anthropic.ts";
import { type Cloud, startMockClouds } from "../support/mock-clouds.ts";
import { agentRequest, user } from "../support/openclaw.ts";
import { claudesOf } from "../support/processes.ts";
import { startReceiver } from "../support/receiver.ts";
import { PROGRAM, startServer, type TestServer } from "../support/server.ts";
import { answerText, say } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const auto = { SYNTHESIS_ENGINE: "auto" };
const PROBE = "claude started to see whether it accepts the channel";

/** The engines of the processes that a server has started, in their order. */
const started = (server: TestServer) =>
  [...server.log().matchAll(/"message":"claude started".*?"engine":"(\w+)"/g)].map(([, engine]) => engine);

const health = async ({ url }: TestServer) =>
  ((await (await fetch(`${url}/health`)).json()) as { engines: object }).engines;

const probeEnded = ({ logged }: TestServer) => logged(/claude exited.*"probe:|"probe:.*claude exited/);

/** What the doctor finds about a subject. */
async function doctor({ serverEnv }: World, subject: string): Promise<string | undefined> {
  const child = Bun.spawn([...PROGRAM, "doctor", "--json"], { env: serverEnv, stdout: "pipe", stderr: "inherit" });
  const { checks } = JSON.parse(await child.stdout.text()) as { checks: { name: string; found: string }[] };
  return checks.find(({ name }) => name === subject)?.found;
}

async function sayAsOpenClaw(server: TestServer, text: string, agent = "main"): Promise<string> {
  const { request, headers } = agentRequest([user(text)], { agent, session: `agent:${agent}:main` });
  return answerText(await server.post({ ...request, stream: true }, Object.fromEntries(headers)));
}

const settings = (content: object) => ({
  prepare: ({ home }: { home: string }) => {
    mkdirSync(join(home, ".claude"));
    writeFileSync(join(home, ".claude/settings.json"), JSON.stringify(content));
  },
});

describe("auto answers a client and OpenClaw over stream-json, and says why", () => {
  test.each<[when: string, options: object, env: Record<string, string>, reason: string, why: RegExp]>([
    ["an API key is in use", {}, {}, "api_key", /ANTHROPIC_API_KEY/],
    ["telemetry is off", { plan: true }, { DISABLE_TELEMETRY: "1" }, "environment", /DISABLE_TELEMETRY/],
    [
      "settings turn channels off",
      { plan: true, ...settings({ env: { DO_NOT_TRACK: "1" } }) },
      {},
      "claude_settings",
      /DO_NOT_TRACK in .*settings\.json/,
    ],
  ])("where %s", async (_when, options, env, reason, why) => {
    await using world = await createWorld({ ...options, env: { ...auto, ...env } });
    const { server } = world;
    expect((await say(server, "one")).answer).toBe("You said: one");
    expect(await sayAsOpenClaw(server, "two")).toEndWith("\ntwo");
    expect(started(server)).toEqual(["stream", "stream"]);
    expect(await health(server)).toEqual([{ agent: null, engine: "stream", reason }]);
    expect(await server.printed(/^Engine: /)).toMatch(/^Engine: stream, because /);
    expect(await server.printed(/^Engine: /)).toMatch(why);
    expect(await doctor(world, "engine")).toMatch(why);
  });
});

describe("auto answers a client and OpenClaw over stream-json where Claude Code refuses channels: on", () => {
  test.each<[name: string, cloud: Cloud, why: RegExp]>([
    ["Bedrock", "bedrock", /CLAUDE_CODE_USE_BEDROCK/],
    ["Vertex", "vertex", /CLAUDE_CODE_USE_VERTEX/],
    ["Foundry", "foundry", /CLAUDE_CODE_USE_FOUNDRY/],
  ])("%s", async (_name, cloud, why) => {
    const api = startMockAnthropic();
    const clouds = startMockClouds(api.url);
    await using world = await createWorld({ loggedIn: false, env: { ...auto, ...clouds.env(cloud) } });
    const { server } = world;
    expect((await say(server, "one")).answer).toBe("You said: one");
    expect(await sayAsOpenClaw(server, "two")).toEndWith("\ntwo");
    expect(api.requests.map(({ asked }) => /(one|two)\n/.exec(asked)?.[1])).toEqual(["one", "two"]);
    expect(started(server)).toEqual(["stream", "stream"]);
    expect(await health(server)).toEqual([{ agent: null, engine: "stream", reason: "environment" }]);
    expect(await server.printed(/^Engine: /)).toMatch(why);
    expect(await doctor(world, "engine")).toMatch(why);
    await Promise.all([clouds.stop(), api.stop()]);
  });
});

test("an agent's own engine holds for its conversations only", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_AGENTS: '{"ops":{"engine":"stream"}}' } });
  const { server } = world;
  expect(await sayAsOpenClaw(server, "one", "ops")).toEndWith("\none");
  expect(started(server)).toEqual(["stream"]);
  expect(await sayAsOpenClaw(server, "two")).toEndWith("\ntwo");
  expect(started(server)).toEqual(["stream", "interactive"]);
  expect(await health(server)).toEqual([
    { agent: null, engine: "interactive", reason: "setting" },
    { agent: "ops", engine: "stream", reason: "setting" },
  ]);
  expect(await server.printed(/^Engine of ops: /)).toContain("stream");
});

test("a refusal of the channel is found out before the first message, and remembered across a restart", async () => {
  await using receiver = startReceiver();
  const env = { ...auto, SYNTHESIS_NOTIFY_URL: receiver.origin };
  await using world = await createWorld({ env, plan: true, channels: false });
  const { server } = world;
  await probeEnded(server);
  expect(await health(server)).toEqual([{ agent: null, engine: "stream", reason: "channel_refused" }]);
  expect(claudesOf(server.pid)).toEqual([]);
  expect((await receiver.get(1)).json).toMatchObject({ kind: "channels_refused" });
  expect(await say(server, "one")).toEqual({ answer: "You said: one", origin: "cold" });
  expect(started(server)).toEqual(["interactive", "stream"]);
  expect(await doctor(world, "engine")).toContain("refused its channel");
  await server.stop();

  const again = await startServer(world.serverEnv);
  expect(await again.printed(/^Engine: /)).toContain("refused its channel");
  expect(await say(again, "two")).toEqual({ answer: "You said: two", origin: "resumed" });
  await again.stop();
  expect(started(again)).toEqual(["stream"]);
  expect(again.log()).not.toContain(PROBE);
  expect(receiver.received).toHaveLength(1);
});

/** How often the model is shown each of these messages, when it is sent the last one. */
async function timesShown({ mock }: World, ...messages: string[]): Promise<number[]> {
  const { shown } = await mock.request(new RegExp(`\n${messages.at(-1)}\n`));
  return messages.map((message) => shown.split(`\n${message}\n`).length - 1);
}

test("a conversation moves in the request for which its channel is refused, and Claude gets nothing twice", async () => {
  await using world = await createWorld({ env: auto, plan: true });
  await say(world.server, "one");
  expect(await health(world.server)).toEqual([{ agent: null, engine: "interactive", reason: "default" }]);
  await world.server.stop();

  const state = join(world.claude.home, ".claude.json");
  const content = JSON.parse(readFileSync(state, "utf8")) as object;
  writeFileSync(state, JSON.stringify({ ...content, cachedGrowthBookFeatures: {} }));
  const server = await startServer(world.serverEnv);
  expect((await say(server, "two")).answer).toBe("You said: two");
  expect(started(server)).toEqual(["interactive", "stream"]);
  expect(await say(server, "three")).toEqual({ answer: "You said: three", origin: "warm" });
  await server.stop();
  expect(await timesShown(world, "one", "two", "three")).toEqual([1, 1, 1]);
});

test("a conversation moves back when its channel is accepted again, and Claude gets nothing twice", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_ENGINE: "stream" }, plan: true });
  await say(world.server, "one");
  await world.server.stop();

  const refusal = { claude: "", refusal: "it said no", at: 0 };
  writeFileSync(join(world.claude.base, "state/channel.json"), JSON.stringify(refusal));
  const server = await startServer({ ...world.serverEnv, ...auto });
  expect(await server.printed(/^Engine: /)).toContain("it said no");
  await probeEnded(server);
  expect(await health(server)).toEqual([{ agent: null, engine: "interactive", reason: "default" }]);
  expect((await say(server, "two")).answer).toBe("You said: two");
  await server.stop();
  expect(started(server)).toEqual(["interactive", "interactive"]);
  expect(await timesShown(world, "one", "two")).toEqual([1, 1]);
});
