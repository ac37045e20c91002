/** The client's tools: how results bypass the queue, how long a turn waits for them, and which tools are offered. */
import { expect, test } from "bun:test";
import { agentRequest, assistant, contextMessage, toolResult, user } from "../support/openclaw.ts";
import { ask, events, next, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const TOOLS = { tools: [{ type: "function", function: { name: "lookup" } }] };

interface Answer {
  readonly content: string | null;
  readonly calls: readonly { id: string; function: { name: string; arguments: string } }[];
}

async function send(world: World, body: object, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await world.server.post({ ...body, stream: false }, headers);
  const parsed = (await response.json()) as {
    choices?: { message: { content: string | null; tool_calls?: Answer["calls"] } }[];
  };
  const message = parsed.choices?.[0]?.message;
  if (!message) throw new Error(JSON.stringify(parsed));
  return { content: message.content, calls: message.tool_calls ?? [] };
}
const call = (world: World, name: string, count = 1) => send(world, ask(`call ${count}`, { user: name, ...TOOLS }));
const withResults = (name: string, calls: Answer["calls"], ...results: string[]) => ({
  user: name,
  ...TOOLS,
  messages: [
    user("call"),
    assistant("", ...calls.map(({ id }) => [id, "lookup"] as const)),
    ...results.map((content, at) => toolResult(calls[at]?.id ?? "", content)),
  ],
});

test("results bypass a full queue, and a turn that waits for them keeps its process", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_MAX_PROCESSES: "1", SYNTHESIS_MAX_QUEUE: "1" },
  });
  const { calls } = await call(world, "me", 3);
  expect(calls.map(({ function: { name, arguments: given } }) => [name, given])).toEqual([
    ["lookup", '{"index":0}'],
    ["lookup", '{"index":1}'],
    ["lookup", '{"index":2}'],
  ]);
  const waiting = send(world, ask("hello", { user: "you" }));
  await world.server.logged(/turn waits for a process slot/);
  const rejected = await world.server.post(ask("hello", { user: "they" }));
  expect(rejected.status).toBe(429);
  expect(await send(world, withResults("me", calls, "A", "B", "C"))).toEqual({ content: "You said: A|B|C", calls: [] });
  expect((await waiting).content).toBe("You said: hello");
});

test("a client that disables parallel tool calls gets one call at a time", async () => {
  await using world = await createWorld({ standIn: true });
  const first = await send(world, ask("call 2", { user: "me", ...TOOLS, parallel_tool_calls: false }));
  expect(first.calls).toHaveLength(1);
  const second = await send(world, withResults("me", first.calls, "A"));
  expect(second.calls).toHaveLength(1);
  expect((await send(world, withResults("me", second.calls, "B"))).content).toBe("You said: A|B");
});

test("the time that the client takes for its tools does not count for the deadlines of a turn", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_TURN_TIMEOUT_MS: "4000", SYNTHESIS_PROGRESS_TIMEOUT_MS: "4000" },
  });
  const { calls } = await call(world, "me");
  // This turn starts later and times out. By then the one that waits for results would have timed out, too.
  const late = await world.server.post(ask("hang", { user: "you", stream: false }));
  expect(late.status).toBe(504);
  expect((await send(world, withResults("me", calls, "A"))).content).toBe("You said: A");
});

test("a message instead of results ends the wait, and is answered", async () => {
  await using world = await createWorld({ standIn: true });
  const { calls } = await call(world, "me", 2);
  expect((await send(world, ask("never mind", { user: "me", ...TOOLS }))).content).toBe("You said: never mind");
  // The calls have ended, so their results are an ordinary message.
  expect((await send(world, withResults("me", calls, "A", "B"))).content).toEndWith(
    "[lookup returned]\nA\n\n[lookup returned]\nB",
  );
});

test("a message instead of results is not interrupted by the Escape key for the turn before it", async () => {
  await using world = await createWorld({ standIn: true });
  await send(world, ask("call 2 late", { user: "me", ...TOOLS }));
  const instead = await send(world, ask("hang 1000", { user: "me", ...TOOLS }));
  expect(instead.content).toBe("You said: hang 1000");
});

test("Claude is interrupted when a client disconnects before it has its calls", async () => {
  await using world = await createWorld({ standIn: true });
  const { calls } = await call(world, "me");
  const client = new AbortController();
  const resumed = events(
    await world.server.post({ ...withResults("me", calls, "A"), stream: true }, {}, client.signal),
  );
  await next(resumed);
  await resumed.return(undefined);
  client.abort();
  expect((await send(world, ask("still there", { user: "me" }))).content).toEndWith("still there");
});

test("OpenClaw sends a context message with its results, and its file and shell tools are not offered", async () => {
  await using world = await createWorld({ standIn: true });
  /** @param run each run has its own trace id */
  const post = (messages: Parameters<typeof agentRequest>[0], run = 1) => {
    const traceparent = `00-${String(run).padStart(32, "0")}-b7ad6b7169203331-01`;
    const { request, headers } = agentRequest(messages, {
      tools: ["read", "exec", "message"],
      headers: { traceparent },
    });
    return send(world, request, Object.fromEntries(headers));
  };
  const asked = user("call 1");
  const { calls } = await post([asked, contextMessage()]);
  expect(calls.map((one) => one.function.name)).toEqual(["message"]);
  const id = calls[0]?.id ?? "";
  const answer = await post([asked, assistant("", [id, "message"]), toolResult(id, "sent"), contextMessage()]);
  expect(answer.content).toBe("You said: sent");
  // A change of the context is delivered with the result.
  const again = user("call 1");
  const history = [asked, assistant("done"), again];
  const second = (await post([...history, contextMessage()], 2)).calls[0]?.id ?? "";
  const news = [
    ...history,
    assistant("", [second, "message"]),
    toolResult(second, "sent"),
    contextMessage("Subagents: one"),
  ];
  expect((await post(news, 2)).content).toBe("You said: sent,<context>\nSubagents: one\n</context>");
});

const settings: [setting: string, tools: string[], called: string[]][] = [
  ["all", ["read"], ["read"]],
  ["none", ["lookup"], []],
  ["look* message", ["other", "lookup"], ["lookup"]],
  ["message", ["lookup"], []],
];
test.each(settings)("SYNTHESIS_CLIENT_TOOLS=%s selects the offered tools", async (setting, tools, called) => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_CLIENT_TOOLS: setting } });
  const { request, headers } = agentRequest([user("call 1")], { tools });
  const { calls, content } = await send(world, request, Object.fromEntries(headers));
  expect(calls.map((one) => one.function.name)).toEqual(called);
  if (called.length === 0) expect(content).toBe("You said: ✗The tool none is no longer offered.");
});

test("a stream ends with the calls, their finish reason and their token counts", async () => {
  await using world = await createWorld({ standIn: true });
  const response = await world.server.post(
    ask("call 2", { user: "me", ...TOOLS, stream_options: { include_usage: true } }),
  );
  const all = await Array.fromAsync(events(response));
  expect(all.at(-1)).toBe("[DONE]");
  expect(all.slice(-4, -1)).toMatchObject([
    { choices: [{ delta: { tool_calls: [{ index: 0, type: "function" }, { index: 1 }] }, finish_reason: null }] },
    { choices: [{ delta: {}, finish_reason: "tool_calls" }] },
    { choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } },
  ]);
  await Array.fromAsync(texts(await world.server.post(ask("hello", { user: "me" }))));
});

test("token counts that reach the transcript too late are missing in the answer, and not counted in the next one", async () => {
  await using world = await createWorld({ standIn: true });
  const post = async (body: object) =>
    (await (await world.server.post({ ...body, stream: false })).json()) as {
      choices: { message: { tool_calls?: Answer["calls"] } }[];
      usage?: object;
    };
  const asked = await post(ask("call 1 unrecorded", { user: "me", ...TOOLS }));
  const calls = asked.choices[0]?.message.tool_calls ?? [];
  expect([calls.length, "usage" in asked]).toEqual([1, false]);
  const answer = await post(withResults("me", calls, "A"));
  expect(answer.usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 1 });
});
