/** On the real claude: the Responses API with OpenAI's own library, by requests that name no conversation. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import OpenAI from "openai";
import { apiError, text, toolUse } from "../support/mock-anthropic.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { hasHookRun, layTraps } from "../support/traps.ts";
import { createWorld, type World } from "../support/world.ts";

type Input = OpenAI.Responses.ResponseInput;
type Options = Partial<Omit<OpenAI.Responses.ResponseCreateParamsNonStreaming, "input">>;

const model = "synthesis-claude-bridge";
const TOOL = "mcp__plugin_synthesis_chat__weather";
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const weather: OpenAI.Responses.FunctionTool = {
  type: "function",
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } } },
  strict: false,
};

let world: World;
let server: TestServer;
beforeAll(async () => {
  world = await createWorld({ prepare: layTraps });
  ({ server } = world);
  world.mock.on(/the weather/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text(`It is ${toolResults[0]?.content}.`);
    else yield toolUse(TOOL, { city: "Oslo" });
  });
});
afterAll(async () => {
  await server.stop();
  await world[Symbol.asyncDispose]();
});

async function create(input: string | Input, more: Options = {}) {
  const asked = { model, input, ...more, stream: false } as const;
  const { data, response } = await server.openai.responses.create(asked).withResponse();
  return { ...data, origin: response.headers.get("x-synthesis-process") };
}
/** What the model was shown of the conversation with a message, one line for each message. */
async function shownWith(asked: RegExp) {
  const { body } = await world.mock.request(asked);
  return body.messages.flatMap(({ role, content }) => {
    if (role === "system") return [];
    const blocks = typeof content === "string" ? [{ type: "text", text: content }] : content;
    return `${role}: ${blocks.map((block) => block.text ?? `[${block.type}]`).join(" ")}`;
  });
}

test("a conversation goes on from response to response, also after a restart and from an older response", async () => {
  const content: OpenAI.Responses.ResponseInputMessageContentList = [
    { type: "input_text", text: "one" },
    { type: "input_image", image_url: `data:image/png;base64,${PNG}`, detail: "auto" },
  ];
  const history: Input = [
    { role: "user", content: "hello" },
    { role: "assistant", content: "aye" },
  ];
  const first = await create([...history, { role: "user", content }], { instructions: "Talk like a pirate." });
  const second = await create("two", { previous_response_id: first.id });
  expect([second.output_text, second.origin]).toEqual(["You said: two", "resumed"]);
  const { shown, body } = await world.mock.request(/^two$/);
  // Instructions hold for their own request only.
  for (const absent of ["pirate", "memory", "<channel"]) expect(shown).not.toContain(absent);
  expect(body.tools ?? []).toEqual([]);
  expect(world.mock.requests.some((request) => request.shown.includes("pirate"))).toBe(true);

  await server.stop();
  server = await startServer(world.serverEnv);
  const third = await create("three", { previous_response_id: second.id });
  expect([third.output_text, third.origin]).toEqual(["You said: three", "resumed"]);
  const known = await shownWith(/^three$/);
  expect(known.slice(0, 2)).toEqual(["user: hello", "assistant: aye"]);
  expect(known[2]).toStartWith("user: one [image]");
  expect(known.slice(4)).toEqual(["user: two", "assistant: You said: two", "user: three"]);

  const other = await create("other", { previous_response_id: first.id });
  expect(other.origin).toBe("warm");
  expect((await shownWith(/other$/)).at(-1)).toMatch(/taken back their last 2 messages.*<\/context> other$/s);
  expect(hasHookRun(world.claude)).toBe(false);
});

test("a stream calls the client's function, and goes on with its output", async () => {
  const asked = { model, tools: [weather] };
  const calls = await server.openai.responses.stream({ ...asked, input: "the weather?" }).finalResponse();
  const [call] = calls.output.filter((item) => item.type === "function_call");
  const output = { type: "function_call_output", call_id: call?.call_id ?? "", output: "snow" } as const;
  const stream = server.openai.responses.stream({ ...asked, previous_response_id: calls.id, input: [output] });
  const types = (await Array.fromAsync(stream)).map(({ type }) => type);
  const answer = await stream.finalResponse();

  expect([call?.name, call?.arguments]).toEqual(["weather", '{"city":"Oslo"}']);
  expect([types[0], types.at(-1)]).toEqual(["response.created", "response.completed"]);
  expect(answer.output_text).toBe("It is snow.");
  const { body } = await world.mock.request(/the weather/);
  expect(body.tools?.map(({ name }) => name)).toEqual([TOOL]);

  // A client that keeps the items sends them all, and finds the same process.
  const items = [{ role: "user", content: "the weather?" }, call, output, ...answer.output] as Input;
  const next = await create([...items, { role: "user", content: "thanks" }], { tools: [weather] });
  expect([next.output_text, next.origin]).toEqual(["You said: thanks", "warm"]);
  expect((await shownWith(/^thanks$/)).at(-1)).toBe("user: thanks");
});

test("an output that is late, or that Claude Code would write to a file, reaches the model as a message", async () => {
  const asked = { role: "user", content: "the weather?" } as const;
  const outputs: (readonly [text: string, isLate: boolean])[] = [
    ["hail", true],
    ["x".repeat(600_000), false],
  ];
  for (const [output, isLate] of outputs) {
    const calls = await create([asked], { tools: [weather] });
    const call = calls.output.find(
      (item) => item.type === "function_call",
    ) as OpenAI.Responses.ResponseFunctionToolCall;
    if (isLate) await server.openai.responses.cancel(calls.id);
    const result = { type: "function_call_output", call_id: call.call_id, output } as const;
    const answer = await create([asked, call, result], { tools: [weather] });

    expect(answer.status).toBe("completed");
    const last = world.mock.requests.at(-1)?.body.messages.findLast(({ role }) => role === "user");
    // The call itself ended without it.
    const blocks = typeof last?.content === "string" ? [] : (last?.content ?? []);
    const said = blocks.flatMap(({ type, text: value }) => (type === "text" && value !== undefined ? [value] : []));
    expect(said.some((one) => one.includes(output))).toBe(true);
  }
});

test("a response is cancelled while Claude writes it, and an error is the library's own exception", async () => {
  world.mock.on(/long story/, async function* () {
    yield text("Once upon a time ");
    await new Promise(() => {});
  });
  world.mock.on(/too much/, function* () {
    yield apiError(429, "rate_limit_error", "not now", { "retry-after": "0" });
  });
  const stream = await server.openai.responses.create({ model, input: "a long story", stream: true });
  let id = "";
  let thrown: unknown = null;
  try {
    for await (const event of stream) {
      if (event.type === "response.created") id = event.response.id;
      if (event.type === "response.output_text.delta") await server.openai.responses.cancel(id);
    }
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(OpenAI.APIError);
  expect((await create("go on", { previous_response_id: id })).output_text).toBe("You said: go on");

  const failed = await create("too much", { previous_response_id: id }).catch((error) => error);
  expect(failed).toBeInstanceOf(OpenAI.RateLimitError);
});
