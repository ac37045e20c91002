/** On the real claude: requests that name no conversation, as most clients and agent libraries send them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type OpenAI from "openai";
import { at, control } from "../support/control.ts";
import { apiError, text, toolUse } from "../support/mock-anthropic.ts";
import { descendants, withCommand } from "../support/processes.ts";
import { next, texts } from "../support/sse.ts";
import { hasHookRun, layTraps } from "../support/traps.ts";
import { createWorld, type World } from "../support/world.ts";

type Message = OpenAI.ChatCompletionMessageParam;
type Options = Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>;

const TOOL = "mcp__plugin_synthesis_chat__weather";
const tools: OpenAI.ChatCompletionTool[] = [
  {
    type: "function",
    function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
  },
];
const user = (content: string): Message => ({ role: "user", content });
const result = (id: string, content: string): Message => ({ role: "tool", tool_call_id: id, content });

let world: World;
beforeAll(async () => {
  world = await createWorld({ prepare: layTraps });
  // The model asks for the weather once, and then repeats the results.
  world.mock.on(/weather/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text(toolResults.map(({ content }) => content).join(" and "));
    else yield toolUse(TOOL, { city: "Oslo" });
  });
});
afterAll(() => world[Symbol.asyncDispose]());

/** Asks with the official client, which names no conversation. */
async function ask(messages: Message[], options: Options = {}, { server } = world) {
  const { data, response } = await server.openai.chat.completions
    .create({ model: "synthesis-claude-bridge", messages, ...options, stream: false })
    .withResponse();
  const [choice] = data.choices;
  return {
    ...choice,
    message: choice?.message as OpenAI.ChatCompletionMessage,
    origin: response.headers.get("x-synthesis-process"),
  };
}
const callIdOf = (message: OpenAI.ChatCompletionMessage) => message.tool_calls?.[0]?.id as string;
const claudes = (of = world) => withCommand(descendants(of.server.pid), /--print/);

test("a chat continues in its process, and one with another history begins anew", async () => {
  const chat = [user("hello")];
  const first = await ask(chat);
  chat.push(first.message, user("and now"));
  const second = await ask(chat);
  expect([first.origin, second.origin, second.message.content]).toEqual(["cold", "warm", "You said: and now"]);

  const edited = [user("hello"), { ...first.message, content: "You said: no" }, user("and then")];
  expect((await ask(edited)).origin).toBe("cold");
  const { body } = await world.mock.request(/^and then$/);
  const said = body.messages.filter(({ role }) => role !== "system").map(({ role }) => role);
  expect(said).toEqual(["user", "assistant", "user"]);
  expect(JSON.stringify(body.messages)).toContain("You said: no");
});

test("Claude is shown the client's prompt and messages, and nothing of the user's", async () => {
  await ask([{ role: "system", content: "Talk like a pirate." }, user("who are you")], { reasoning_effort: "low" });
  const { shown, body } = await world.mock.request(/^who are you$/);
  expect(shown).toContain("Talk like a pirate.");
  expect(shown).not.toContain("memory");
  expect(shown).not.toContain("<channel");
  expect(body.tools ?? []).toEqual([]);
  expect(body.output_config?.effort).toBe("low");
  const { home } = world.claude;
  expect(hasHookRun(world.claude)).toBe(false);
  expect([...new Bun.Glob("**/*.jsonl").scanSync({ cwd: home, dot: true })]).toEqual([]);
});

test("tools work without a name, in chats with the same words at the same time", async () => {
  const question = user("the weather?");
  const first = await ask([question], { tools });
  const other = await ask([question], { tools });
  expect([first.finish_reason, other.finish_reason]).toEqual(["tool_calls", "tool_calls"]);
  expect(callIdOf(first.message)).not.toBe(callIdOf(other.message));
  const answers = await Promise.all([
    ask([question, other.message, result(callIdOf(other.message), "snow")], { tools }),
    ask([question, first.message, result(callIdOf(first.message), "rain")], { tools }),
  ]);
  expect(answers.map(({ message }) => message.content)).toEqual(["snow", "rain"]);
  expect(answers.map(({ origin }) => origin)).toEqual(["warm", "warm"]);
});

test("a result finds its call when its client takes the tools back and wants JSON", async () => {
  const question = user("the weather?");
  const first = await ask([question], { tools });
  const answer = await ask([question, first.message, result(callIdOf(first.message), '{"sky":"clear"}')], {
    tools,
    tool_choice: "none",
    response_format: { type: "json_object" },
  });
  expect([answer.message.content, answer.origin]).toEqual(['{"sky":"clear"}', "warm"]);
});

test("the result of a function of the older API, whose calls have no ids, finds its call", async () => {
  const question = user("the weather?");
  const functions = [{ name: "weather", parameters: { type: "object", properties: {} } }];
  const first = await ask([question], { functions });
  expect(first.finish_reason).toBe("function_call");
  const answer = await ask([question, first.message, { role: "function", name: "weather", content: "mist" }], {
    functions,
  });
  expect([answer.message.content, answer.origin]).toEqual(["mist", "warm"]);
});

test("a result that Claude Code would write to a file is given to a new process, which gets it whole", async () => {
  world.mock.on(/long report/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text(`The report has ${toolResults[0]?.content.length} characters.`);
    else yield toolUse(TOOL, {});
  });
  const question = user("a long report");
  const first = await ask([question], { tools });
  const answer = await ask([question, first.message, result(callIdOf(first.message), "x".repeat(600_000))], { tools });
  expect([answer.message.content, answer.origin]).toEqual(["The report has 600000 characters.", "cold"]);
});

test("calls and results of a chat that has ended are given to the next process as such", async () => {
  const call: OpenAI.ChatCompletionMessageToolCall = {
    id: "call_old",
    type: "function",
    function: { name: "weather", arguments: '{"city":"Rome"}' },
  };
  const answer = await ask(
    [user("the weather in Rome?"), { role: "assistant", content: null, tool_calls: [call] }, result("call_old", "sun")],
    { tools },
  );
  expect([answer.message.content, answer.origin]).toEqual(["sun", "cold"]);
});

test("an answer that its client did not wait for is not continued, and its process ends", async () => {
  world.mock.on(/long story/, async function* () {
    yield text("Once upon a time ");
    await new Promise(() => {});
  });
  const gone = new AbortController();
  const response = await world.server.post(
    { model: "", stream: true, messages: [user("a long story")] },
    {},
    gone.signal,
  );
  expect(await next(texts(response))).toBe("Once upon a time ");
  const before = claudes().length;
  gone.abort();
  await world.server.logged(/claude exited/);
  while (claudes().length >= before) await Bun.sleep(20);
});

test("a reset removes a chat, since no message could begin it again", async () => {
  const chat = [user("hello")];
  for (const words of ["to be reset", "and gone"]) chat.push((await ask(chat)).message, user(words));
  await ask(chat);
  const list = async () => ((await (await control(world, "")).json()) as { data: { key: string }[] }).data;
  // The chat that was used last comes first.
  const key = (await list())[0]?.key ?? "";
  const done = await control(world, `${at(key)}/reset`, { method: "POST" });
  expect([done.status, await done.json()]).toEqual([200, expect.objectContaining({ state: "cold", pid: null })]);
  expect(await list()).not.toContainEqual(expect.objectContaining({ key }));
});

describe("a failure has an HTTP status:", () => {
  test.each<[what: string, status: number, type: string, expected: number]>([
    ["a rate limit", 429, "rate_limit_error", 429],
    ["an overload", 529, "overloaded_error", 503],
    ["a bad request", 400, "invalid_request_error", 400],
  ])("%s", async (what, status, type, expected) => {
    world.mock.on(new RegExp(`^${what}$`), function* () {
      yield apiError(status, type, "not now", { "retry-after": "0" });
    });
    const response = await world.server.post({ model: "", messages: [user(what)] });
    expect(response.status).toBe(expected);
  });
});

test("a chat whose client never sends a result makes room, and its late result is still answered", async () => {
  await using small = await createWorld({ env: { SYNTHESIS_MAX_PROCESSES: "1" } });
  small.mock.on(/weather/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text(toolResults.map(({ content }) => content).join());
    else yield toolUse(TOOL, { city: "Oslo" });
  });
  const parked = await ask([user("the weather?")], { tools }, small);
  expect(parked.finish_reason).toBe("tool_calls");
  const ready = await fetch(`${small.server.url}/ready`);
  expect(ready.status).toBe(200);
  const other = await ask([user("hello")], {}, small);
  expect(other.message.content).toBe("You said: hello");
  const late = await ask(
    [user("the weather?"), parked.message, result(callIdOf(parked.message), "fog")],
    { tools },
    small,
  );
  expect([late.message.content, late.origin]).toEqual(["fog", "cold"]);
  expect(claudes(small)).toHaveLength(1);
});

test("tools that tool_choice has ruled out in one message are offered in the next", async () => {
  const chat = [user("good evening")];
  const first = await ask(chat, { tools, tool_choice: "none" });
  const second = await ask([...chat, first.message, user("and the weather?")], { tools });
  expect([first.finish_reason, second.finish_reason]).toEqual(["stop", "tool_calls"]);
});
