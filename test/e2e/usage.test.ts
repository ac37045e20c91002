/** On the real claude: the tokens in the usage of an answer, and in the totals of a conversation. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { at, control } from "../support/control.ts";
import { apiError, type ModelRequest, type Step, text, toolUse, usage } from "../support/mock-anthropic.ts";
import { agentRequest, assistant, toolResult, user } from "../support/openclaw.ts";
import { startServer } from "../support/server.ts";
import { ask, events } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const TOOL_PREFIX = "mcp__plugin_synthesis_chat__";
const TOOLS = { tools: ["a", "b"].map((name) => ({ type: "function", function: { name } })) };
/** The usage of a model call. */
const cost = (input: number, cached: number, output: number): Step =>
  usage({
    input_tokens: input,
    cache_read_input_tokens: cached,
    cache_creation_input_tokens: 0,
    output_tokens: output,
  });
const bash = (): Step => toolUse("Bash", { command: "true" });
/** Sets the steps of each model call for this message. Further calls repeat the last steps. */
const script = (match: RegExp, ...calls: Step[][]) => {
  let made = 0;
  world.mock.on(match, function* () {
    yield* calls[Math.min(made++, calls.length - 1)] ?? [];
  });
};

interface Body {
  readonly choices: { finish_reason: string; message: { tool_calls?: { id: string }[] } }[];
  readonly usage?: object;
}
/** Sends a request. @returns its finish reason, the ids of its tool calls, and its usage */
async function send(body: object, stream = false, server = world.server, headers = {}) {
  if (!stream) {
    const response = await server.post({ ...body, stream }, headers);
    const { choices, usage } = (await response.json()) as Body;
    const ids = choices[0]?.message.tool_calls?.map(({ id }) => id) ?? [];
    return { finish: choices[0]?.finish_reason, ids, usage };
  }
  const response = await server.post({ ...body, stream, stream_options: { include_usage: true } }, headers);
  const all = await Array.fromAsync(events(response));
  expect(all.pop()).toBe("[DONE]");
  const chunks = all.flatMap((event) => (event === "[DONE]" || "error" in event ? [] : [event]));
  const last = chunks.at(-1);
  const hasUsage = last?.choices.length === 0;
  expect(chunks.slice(0, hasUsage ? -1 : undefined).every((chunk) => chunk.usage === null)).toBe(true);
  return {
    finish: chunks.at(hasUsage ? -2 : -1)?.choices[0]?.finish_reason ?? undefined,
    ids: chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls?.map(({ id }) => id ?? "") ?? []),
    usage: hasUsage ? (last.usage ?? undefined) : undefined,
  };
}
const tokens = (prompt: number, cached: number, completion: number) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: { cached_tokens: cached },
});
const session = async (key: string, of = world) =>
  (await (await control(of, at(key))).json()) as Record<string, unknown>;
const totals = (input: number, cached: number, output: number) => ({
  tokens_in: input,
  tokens_cached: cached,
  tokens_out: output,
});

test("an answer has the input of its last model call and the output of all its calls", async () => {
  const name = "seven";
  const calls = Array.from({ length: 7 }, (_, at) => [cost(100 + at, 50 + at, 3), bash()]);
  script(new RegExp(name), ...calls, [cost(300, 250, 5), text("done")]);
  expect(await send(ask(name, { user: name }), true)).toEqual({
    finish: "stop",
    ids: [],
    usage: tokens(550, 250, 26),
  });
  script(/short/, [cost(20, 560, 2), text("ok")]);
  expect((await send(ask("short", { user: name }), true)).usage).toEqual(tokens(580, 560, 2));
  // The seven calls have 150, 152, 154 … tokens.
  expect(await session(`user:${name}`)).toMatchObject({
    ...totals(7 * 150 + 2 * 21 + 550 + 580, 7 * 50 + 21 + 250 + 560, 28),
    last_turns: [totals(7 * 150 + 2 * 21 + 550, 7 * 50 + 21 + 250, 26), totals(580, 560, 2)],
  });
});

test("an answer that ends with tool calls has its own usage, which the next answer does not repeat", async () => {
  const name = "rounds";
  script(
    new RegExp(name),
    [cost(10, 90, 7), bash()],
    [cost(20, 100, 11), text("Let me look."), toolUse(`${TOOL_PREFIX}a`, {}), toolUse(`${TOOL_PREFIX}b`, {})],
    [cost(30, 120, 13), toolUse(`${TOOL_PREFIX}a`, {})],
    [cost(40, 150, 17), bash()],
    [cost(50, 190, 19), text("done")],
  );
  const messages = [user(name)];
  const round = async () => {
    const answer = await send({ user: name, messages, ...TOOLS });
    messages.push(assistant("", ...answer.ids.map((id) => [id, "a"] as const)));
    messages.push(...answer.ids.map((id) => toolResult(id, "result")));
    return [answer.finish, answer.ids.length, answer.usage];
  };
  expect(await round()).toEqual(["tool_calls", 2, tokens(120, 100, 18)]);
  // While the client runs the tools, the store already has the tokens so far.
  expect((await session(`user:${name}`)).last_turns).toMatchObject([totals(100 + 120, 190, 18)]);
  expect(await round()).toEqual(["tool_calls", 1, tokens(150, 120, 13)]);
  expect(await round()).toEqual(["stop", 0, tokens(240, 190, 36)]);
  const total = totals(100 + 120 + 150 + 190 + 240, 90 + 100 + 120 + 150 + 190, 67);
  expect(await session(`user:${name}`)).toMatchObject({ ...total, last_turns: [total] });
});

test("the first of several answers for one model message has its usage", async () => {
  script(
    /singly/,
    [cost(10, 0, 7), toolUse(`${TOOL_PREFIX}a`, {}), toolUse(`${TOOL_PREFIX}b`, {})],
    [cost(20, 10, 3), text("done")],
  );
  const body = { user: "singly", parallel_tool_calls: false, ...TOOLS };
  const messages = [user("singly")];
  const usages: unknown[] = [];
  for (let round = 0; round < 3; round += 1) {
    const answer = await send({ ...body, messages }, true);
    usages.push(answer.usage);
    for (const id of answer.ids) messages.push(assistant("", [id, "a"]), toolResult(id, "result"));
  }
  expect(usages).toEqual([tokens(10, 0, 7), tokens(10, 0, 0), tokens(30, 10, 3)]);
});

test("a client that does not ask for usage gets none", async () => {
  script(/unasked/, [cost(10, 0, 7), toolUse(`${TOOL_PREFIX}a`, {})]);
  const all = await Array.fromAsync(events(await world.server.post(ask("unasked", { user: "singly", ...TOOLS }))));
  expect(all.slice(-2)).toMatchObject([{ choices: [{ finish_reason: "tool_calls" }] }, "[DONE]"]);
  expect(JSON.stringify(all)).not.toContain("usage");
});

test("an answer that ends with a permission prompt has its own usage", async () => {
  const file = join(world.claude.workspace, "asked.txt");
  script(
    /ask me/,
    [cost(10, 5, 7), text("Let me see."), toolUse("Write", { file_path: file, content: "x" })],
    [cost(20, 15, 3), text("done")],
  );
  const key = "agent:main:telegram:direct:usage";
  const say = (message: string) =>
    send(ask(message), true, world.server, { "x-openclaw-session-key": key, "x-openclaw-sender-id": "ann" });
  expect(await say("ask me")).toEqual({ finish: "stop", ids: [], usage: tokens(15, 5, 7) });
  expect(await say("yes")).toEqual({ finish: "stop", ids: [], usage: tokens(35, 15, 3) });
  expect(await session(key)).toMatchObject({ turns: 1, ...totals(50, 20, 10) });
});

describe("a subagent's tokens", () => {
  const agent = (prompt: string) => toolUse("Agent", { description: "d", prompt, subagent_type: "general-purpose" });
  const work = (prompt: RegExp, tool: Step) =>
    world.mock.on(prompt, function* ({ toolResults }: ModelRequest) {
      yield cost(1000, 500, 100);
      yield toolResults.length === 0 ? tool : text("seen");
    });

  test("count for the turn, not for the answer", async () => {
    script(/delegate/, [cost(10, 5, 7), agent("SUB ONE")], [cost(20, 15, 3), text("done")]);
    work(/SUB ONE/, bash());
    for (const _twice of [1, 2]) {
      expect((await send(ask("delegate", { user: "sub" }), true)).usage).toEqual(tokens(35, 15, 10));
      script(/delegate/, [cost(10, 5, 7), agent("SUB ONE")], [cost(20, 15, 3), text("done")]);
    }
    const each = totals(15 + 35 + 3000, 20 + 1000, 10 + 200);
    expect((await session("user:sub")).last_turns).toMatchObject([each, each]);
  });

  test("count for the turn when the subagent calls a tool of the client", async () => {
    script(/pass on/, [cost(10, 5, 7), agent("SUB TWO")], [cost(20, 15, 3), text("done")]);
    work(/SUB TWO/, toolUse(`${TOOL_PREFIX}a`, {}));
    const body = { user: "subcall", ...TOOLS };
    const { ids, usage } = await send({ ...body, messages: [user("pass on")] }, true);
    expect([ids.length, usage]).toEqual([1, tokens(15, 5, 7)]);
    const messages = [user("pass on"), assistant("", [ids[0] ?? "", "a"]), toolResult(ids[0] ?? "", "result")];
    expect((await send({ ...body, messages }, true)).usage).toEqual(tokens(35, 15, 3));
    expect(await session("user:subcall")).toMatchObject(totals(15 + 35 + 3000, 20 + 1000, 10 + 200));
  });
});

describe("a turn that fails", () => {
  const failing = () =>
    script(/will fail/, [cost(10, 5, 7), text("First."), bash()], [apiError(400, "invalid_request_error", "no")]);

  test("counts, and has usage in the answer of OpenClaw, which gets the error as text", async () => {
    failing();
    const { request, headers } = agentRequest([user("will fail")], { session: "agent:main:fails" });
    const { stream_options: _options, ...body } = request;
    const answer = await send(body, true, world.server, Object.fromEntries(headers));
    expect(answer).toEqual({ finish: "stop", ids: [], usage: tokens(15, 5, 7) });
    expect((await session("agent:main:fails")).last_turns).toMatchObject([{ state: "failed", ...totals(15, 5, 7) }]);
  });

  test("counts when its stream ends with the error", async () => {
    failing();
    const body = ask("will fail", { user: "fails", stream_options: { include_usage: true } });
    const all = await Array.fromAsync(events(await world.server.post(body)));
    expect(all.slice(-2)).toMatchObject([{ error: { type: expect.any(String) } }, "[DONE]"]);
    await send(ask("and then", { user: "fails" }));
    expect((await session("user:fails")).last_turns).toMatchObject([{ state: "failed", ...totals(15, 5, 7) }, {}]);
  });

  test("counts when its client disconnects", async () => {
    const reached = Promise.withResolvers<void>();
    const stop = Promise.withResolvers<void>();
    world.mock.on(/leave me/, async function* ({ toolResults }) {
      yield cost(10, 5, 7);
      if (toolResults.length === 0) yield* [text("First.\n\n"), bash()];
      else {
        reached.resolve();
        await stop.promise;
      }
    });
    const client = new AbortController();
    const response = await world.server.post(ask("leave me", { user: "leaves" }), {}, client.signal);
    const reading = Array.fromAsync(events(response)).catch(() => "the client has disconnected");
    await reached.promise;
    client.abort();
    await reading;
    await world.server.logged(/"turn .*interrupted.*user:leaves/);
    stop.resolve();
    await send(ask("hello", { user: "leaves" }));
    expect((await session("user:leaves")).last_turns).toMatchObject([{ state: "interrupted", tokens_in: 15 }, {}]);
  });

  test("counts the tokens used before its server was killed", async () => {
    await using killed = await createWorld();
    const stop = Promise.withResolvers<void>();
    killed.mock.on(/wait/, async function* ({ toolResults }) {
      // Claude goes on without its server for a while.
      if (toolResults.length > 0) await stop.promise;
      yield* [cost(10, 5, 7), toolUse(`${TOOL_PREFIX}a`, {})];
    });
    await send({ user: "killed", messages: [user("wait")], ...TOOLS }, false, killed.server);
    expect(await session("user:killed", killed)).toMatchObject(totals(15, 5, 7));
    await killed.server.stop("SIGKILL");
    const server = await startServer(killed.serverEnv);
    const after = { ...killed, server };
    await send(ask("hello", { user: "killed" }), false, server);
    const { last_turns, ...total } = await session("user:killed", after);
    expect(last_turns).toMatchObject([{ state: "lost", ...totals(15, 5, 7) }, { state: "done" }]);
    expect(total.tokens_in).toBeGreaterThan(15);
    stop.resolve();
    await server.stop();
  });
});

test("in tool mode an answer has the tokens up to its final reply, and the turn has all", async () => {
  await using mode = await createWorld({ env: { SYNTHESIS_REPLY: "tool" } });
  const gate = Promise.withResolvers<void>();
  let made = 0;
  mode.mock.on(/question/, async function* () {
    made += 1;
    yield cost(10 * made, 5, made);
    if (made === 1) yield toolUse(`${TOOL_PREFIX}reply`, { content: "On it.", final: false });
    else if (made === 2) yield toolUse(`${TOOL_PREFIX}reply`, { content: "Done." });
    else {
      await gate.promise;
      yield text("unseen");
    }
  });
  expect((await send(ask("question", { user: "mode" }), true, mode.server)).usage).toEqual(tokens(25, 5, 3));
  gate.resolve();
  await send(ask("and then", { user: "mode" }), false, mode.server);
  expect((await session("user:mode", mode)).last_turns).toMatchObject([totals(15 + 25 + 35, 15, 6), {}]);
});
