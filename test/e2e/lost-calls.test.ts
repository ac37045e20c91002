/** On the real claude: a client that lost an answer with tool calls sends its request again. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { at, control } from "../support/control.ts";
import { type ModelRequest, text, toolUse } from "../support/mock-anthropic.ts";
import {
  ABORTED,
  agentRequest,
  assistant,
  CONTINUE,
  contextMessage,
  QUEUED,
  toolResult,
  user,
  withTimestamp,
} from "../support/openclaw.ts";
import { events } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const use = (name: string, input = {}) => toolUse(`mcp__plugin_synthesis_chat__${name}`, input);
const TOOLS = { tools: ["a", "b"].map((name) => ({ type: "function", function: { name } })) };
const given = ({ toolResults }: ModelRequest) => toolResults.map(({ content }) => content).join("|");
const requestsFor = (match: RegExp) => world.mock.requests.filter(({ asked }) => match.test(asked)).length;

interface Answer {
  content: string | null;
  finish: string | null | undefined;
  calls: { id: string; function: { name: string; arguments: string } }[];
  usage: unknown;
}
async function send(body: object, { stream = false, server = world.server, headers = {} } = {}): Promise<Answer> {
  if (!stream) {
    const response = await server.post({ ...body, stream }, headers);
    const { choices, usage } = (await response.json()) as {
      usage: unknown;
      choices: { finish_reason: string; message: { content: string | null; tool_calls?: Answer["calls"] } }[];
    };
    const { message, finish_reason: finish } = choices[0] ?? {};
    return { content: message?.content ?? null, finish, calls: message?.tool_calls ?? [], usage };
  }
  const answer: Answer = { content: null, finish: undefined, calls: [], usage: undefined };
  const response = await server.post({ ...body, stream, stream_options: { include_usage: true } }, headers);
  for await (const event of events(response)) {
    if (event === "[DONE]") return answer;
    if ("error" in event) throw new Error(event.error.code);
    answer.usage ??= event.usage ?? undefined;
    const [choice] = event.choices;
    if (choice?.delta.content) answer.content = (answer.content ?? "") + choice.delta.content;
    answer.finish = choice?.finish_reason ?? answer.finish;
    for (const { index: _index, ...call } of choice?.delta.tool_calls ?? []) answer.calls.push(call as never);
  }
  throw new Error("the stream ended without [DONE]");
}
/** The answer as a message, and the results of its calls. */
const results = ({ content, calls }: Answer, ...of: string[]) => [
  assistant(content ?? "", ...calls.map(({ id, function: { name } }) => [id, name] as const)),
  ...calls.map(({ id }, index) => toolResult(id, of[index] ?? "")),
];
/** Waits until `count` requests are queued in the conversation. */
const waiting = async (key: string, count: number) => {
  const session = async () => (await (await control(world, at(key))).json()) as { waiting: number };
  while ((await session()).waiting !== count);
};

describe("a retry", () => {
  test.each([true, false])("gets the same calls, text and usage each time (stream: %p)", async (stream) => {
    const name = `again ${stream}`;
    world.mock.on(new RegExp(name), function* (request) {
      if (request.toolResults.length > 0) yield text(`given ${given(request)}`);
      else yield* [text("Let me\nsee."), use("a", { n: 1 }), use("b")];
    });
    const body = { user: name, ...TOOLS, messages: [user(name)] };
    const first = await send(body, { stream });
    expect([first.content, first.finish, first.calls.length]).toEqual(["Let me\nsee.", "tool_calls", 2]);
    expect(first.usage).toBeDefined();
    expect(await send(body, { stream })).toEqual(first);
    expect(await send(body, { stream, headers: { traceparent: "00-0af7-b7ad-01" } })).toEqual(first);
    const answer = await send({ ...body, messages: [...body.messages, ...results(first, "A", "B")] }, { stream });
    expect([answer.content, answer.finish]).toEqual(["given A|B", "stop"]);
    expect(requestsFor(new RegExp(name))).toBe(2);
    expect(await (await control(world, at(`user:${name}`))).json()).toMatchObject({ turns: 1 });
  });

  test("gets the calls of the round that it repeats", async () => {
    const name = "rounds";
    world.mock.on(new RegExp(name), function* (request) {
      const results = given(request);
      if (results === "") yield* [text("One."), use("a")];
      else if (results === "1") yield* [text("Two."), use("b")];
      else yield text(`given ${results}`);
    });
    const body = { user: name, ...TOOLS };
    const messages = [user(name)];
    const first = await send({ ...body, messages }, { stream: true });
    messages.push(...results(first, "1"));
    const second = await send({ ...body, messages }, { stream: true });
    expect([second.content, second.calls[0]?.function.name]).toEqual(["Two.", "b"]);
    expect(await send({ ...body, messages }, { stream: true })).toEqual(second);
    messages.push(...results(second, "2"));
    expect((await send({ ...body, messages }, { stream: true })).content).toBe("given 2");
    expect(requestsFor(new RegExp(name))).toBe(3);
  });

  test("gets the calls as soon as they are made, if it arrives before them", async () => {
    const name = "early";
    const gate = Promise.withResolvers<void>();
    world.mock.on(new RegExp(name), async function* (request) {
      if (request.toolResults.length > 0) yield text(`given ${given(request)}`);
      else {
        yield text("Well.");
        await gate.promise;
        yield use("a");
      }
    });
    const body = { user: name, ...TOOLS, messages: [user(name)] };
    const first = send(body, { stream: true });
    await world.mock.request(new RegExp(name));
    const retries = [send(body, { stream: true }), send(body, { stream: true })];
    await waiting(`user:${name}`, 2);
    gate.resolve();
    expect(await Promise.all(retries)).toEqual([await first, await first]);
    const messages = [...body.messages, ...results(await first, "A")];
    expect((await send({ ...body, messages }, { stream: true })).content).toBe("given A");
    expect(requestsFor(new RegExp(name))).toBe(2);
  });
});

test("the same message after the calls is a new message, which ends the turn", async () => {
  const isOver = (shown: string) => shown.includes("The user sent another message instead.");
  world.mock.on(/twice over/, ({ shown }) => [isOver(shown) ? text("heard") : use("a")]);
  const body = { user: "twice", ...TOOLS };
  const first = await send({ ...body, messages: [user("twice over")] });
  const messages = [user("twice over"), assistant("", [first.calls[0]?.id ?? "", "a"]), user("twice over")];
  expect(await send({ ...body, messages })).toMatchObject({ content: "heard", finish: "stop", calls: [] });
  const newest = world.mock.requests.findLast(({ asked }) => asked.includes("twice over"));
  expect(newest?.shown.split("twice over\n")).toHaveLength(3);
});

/** Waits until Claude Code has recorded a message, which takes it some 100 ms. */
async function isRecorded({ claude }: World, message: string): Promise<void> {
  const transcripts = new Bun.Glob(".claude/projects/*/*.jsonl");
  for (;;) {
    const paths = [...transcripts.scanSync({ cwd: claude.home, dot: true })].map((path) => join(claude.home, path));
    const texts = await Promise.all(paths.map((path) => Bun.file(path).text()));
    if (texts.some((text) => text.includes(message))) return;
    await Bun.sleep(20);
  }
}

describe("a retry starts a turn of its own", () => {
  const body = { user: "over", ...TOOLS, messages: [user("call a")] };
  const begin = async (env: Record<string, string>) => {
    const begun = await createWorld({ env });
    begun.mock.on(/call a/, () => [use("a")]);
    begun.mock.on(/without an answer/, () => [text("answered")]);
    expect((await send(body, begun)).calls).toHaveLength(1);
    return begun;
  };
  const isAnswered = async (begun: World) => {
    expect(await send(body, begun)).toMatchObject({ content: "answered", finish: "stop", calls: [] });
    expect(await (await control(begun, at("user:over"))).json()).toMatchObject({ turns: 2 });
  };

  test("after the calls have timed out", async () => {
    await using begun = await begin({ SYNTHESIS_PARKED_TOOL_TIMEOUT_MS: "300" });
    await begun.server.logged(/"turn .*user:over/);
    await isAnswered(begun);
  });

  test("after the claude that made the calls was killed", async () => {
    await using begun = await begin({});
    const { pid } = (await (await control(begun, at("user:over"))).json()) as { pid: number };
    // A message that Claude Code has not recorded is lost with it, and would be sent again.
    await isRecorded(begun, "call a");
    process.kill(pid, "SIGKILL");
    await begun.server.logged(/"turn .*user:over/);
    await isAnswered(begun);
  });
});

test("retries of OpenClaw, which ask claude to continue, get the same calls", async () => {
  world.mock.on(/hold on/, function* (request) {
    if (request.toolResults.length > 0) yield text(`given ${given(request)}`);
    else yield* [text("Yes."), use("message")];
  });
  const post = (...messages: Parameters<typeof agentRequest>[0]) => {
    const { request, headers } = agentRequest(messages, { tools: ["message"], session: "agent:main:retries" });
    const { stream_options: _options, ...body } = request;
    return send(body, { stream: true, headers: Object.fromEntries(headers) });
  };
  const first = await post(user(withTimestamp("hold on")), contextMessage());
  expect([first.content, first.calls.length]).toEqual(["Yes.", 1]);
  expect(
    await post(user(withTimestamp("hold on")), user(ABORTED), contextMessage(), user(withTimestamp(CONTINUE, 1))),
  ).toEqual(first);
  expect(
    await post(user(withTimestamp(`${QUEUED}\nhold on\n\n${CONTINUE}`, 2)), contextMessage("Subagents: one")),
  ).toEqual(first);
  expect((await post(user(withTimestamp("hold on")), ...results(first, "sent"), contextMessage())).content).toContain(
    "given sent",
  );
  expect(requestsFor(/hold on/)).toBe(2);
});

test("a retry gets a lost permission prompt again and does not deny it", async () => {
  const file = join(world.claude.workspace, "lost.txt");
  world.mock.on(/write it/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text("done");
    else yield* [text("Let me see."), toolUse("Write", { file_path: file, content: "x" })];
  });
  const headers = { "x-openclaw-session-key": "agent:main:telegram:direct:lost", "x-openclaw-sender-id": "ann" };
  const say = (message: string) => send({ messages: [user(message)] }, { stream: true, headers });
  const question = await say("write it");
  expect(question.content).toMatch(/^Let me see\.\n\nMay I do this\?/);
  expect(await say("write it")).toEqual(question);
  expect((await say("yes")).content).toBe("done");
  expect(existsSync(file)).toBe(true);
});
