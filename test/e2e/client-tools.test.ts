/** On the real claude: a client's tools, their calls and their results. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type OpenAI from "openai";
import { at, control } from "../support/control.ts";
import { type ModelRequest, type Step, text, toolUse } from "../support/mock-anthropic.ts";
import { pluginsOf } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { createWorld, type World } from "../support/world.ts";

const PREFIX = "mcp__plugin_synthesis_chat__";
/** Part of the error that claude gets for a call when a message arrives instead of its result. */
const NO_RESULT = "message instead";
let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

type Message = OpenAI.ChatCompletionMessageParam;
type Tool = OpenAI.ChatCompletionFunctionTool;
type Answer = OpenAI.ChatCompletionMessage & { finish: string | null };

const tool = (name: string, parameters: Record<string, unknown> = { type: "object", properties: {} }): Tool => ({
  type: "function",
  function: { name, description: `Does ${name}.`, parameters },
});
const use = (name: string, input: Record<string, unknown> = {}): Step => toolUse(PREFIX + name, input);
const user = (content: string): Message => ({ role: "user", content });

/** One conversation, as a client of OpenAI's library has it: `send` adds messages and gets the answer to all of them. */
function chat(name: string, { stream = true, server }: { stream?: boolean; server?: World } = {}) {
  const messages: Message[] = [];
  const send = async (tools: Tool[], ...more: Message[]): Promise<Answer> => {
    messages.push(...more);
    const body = { model: "synthesis-claude-bridge", user: name, messages, ...(tools.length > 0 ? { tools } : {}) };
    const { openai } = (server ?? world).server;
    const choice = stream
      ? (await openai.chat.completions.stream(body).finalChatCompletion()).choices[0]
      : (await openai.chat.completions.create(body)).choices[0];
    if (!choice) throw new Error("the answer has no choice");
    const { role, content, tool_calls } = choice.message;
    messages.push({ role, content, ...(tool_calls ? { tool_calls } : {}) });
    return { ...choice.message, finish: choice.finish_reason };
  };
  return { messages, send };
}
const callsOf = ({ tool_calls }: Answer) =>
  (tool_calls ?? []).map((call) => {
    if (call.type !== "function") throw new Error("the call is not of a function");
    return { id: call.id, name: call.function.name, arguments: call.function.arguments };
  });
/** The result of the call of this tool. */
const result = (answer: Answer, name: string, content: OpenAI.ChatCompletionToolMessageParam["content"]): Message => {
  const call = callsOf(answer).find((one) => one.name === name);
  return { role: "tool", tool_call_id: call?.id ?? "none", content };
};
/** The results in the newest model request, sorted, because claude may add them in any order. */
const given = ({ toolResults }: ModelRequest) =>
  toolResults
    .map(({ content, isError }) => `${isError ? "✗" : ""}${content}`)
    .sort()
    .join("|");
/** The model makes these steps first, and then repeats the results it was given. */
const script = (match: RegExp, first: () => Step[]) =>
  world.mock.on(match, function* (request) {
    if (request.toolResults.length === 0) yield* first();
    else yield text(`given ${given(request)}`);
  });

describe("calls in one message", () => {
  test.each([true, false])("reach the client together, with the text before them (stream: %p)", async (stream) => {
    script(/call three/, () => [text("Let me\nlook."), use("a", { n: 1 }), use("b", { s: "x y" }), use("c")]);
    const { send } = chat(`calls, stream: ${stream}`, { stream });
    const tools = ["a", "b", "c"].map((name) => tool(name));
    const calling = await send(tools, user("call three"));
    expect([calling.content, calling.finish]).toEqual(["Let me\nlook.", "tool_calls"]);
    const calls = callsOf(calling);
    expect(calls.map((call) => [call.name, JSON.parse(call.arguments)])).toEqual([
      ["a", { n: 1 }],
      ["b", { s: "x y" }],
      ["c", {}],
    ]);
    expect(calls.every(({ id }) => /^call[A-Za-z0-9]+$/.test(id))).toBe(true);
    // The results may come in any order.
    const answer = await send(tools, result(calling, "c", "C"), result(calling, "a", "A"), result(calling, "b", "B"));
    expect([answer.content, answer.finish, answer.tool_calls]).toEqual(["given A|B|C", "stop", undefined]);
    // The same claude takes the next turn, and is sent nothing a second time.
    expect((await send(tools, user(`and then, stream: ${stream}`))).content).toStartWith("You said: and then");
    const { shown } = await world.mock.request(new RegExp(`and then, stream: ${stream}`));
    expect(shown.split("call three\n")).toHaveLength(2);
  });

  test("reach the client together when the model pauses between them", async () => {
    const { send } = chat("calls");
    const gate = Promise.withResolvers<void>();
    world.mock.on(/slow pair/, async function* (request) {
      if (request.toolResults.length > 0) yield text(`given ${given(request)}`);
      else {
        yield text("One moment.");
        yield use("a");
        await gate.promise;
        yield use("b");
      }
    });
    const calling = send([tool("a"), tool("b")], user("slow pair"));
    // claude has made the first call before the model writes the second.
    await world.server.logged(/call received.*"user:calls"/);
    gate.resolve();
    const pair = await calling;
    expect([pair.content, callsOf(pair).map(({ name }) => name)]).toEqual(["One moment.", ["a", "b"]]);
    expect((await send([], result(pair, "a", "A"), result(pair, "b", "B"))).content).toBe("given A|B");
  });

  test("alternate with their results for five rounds of one turn, each with the text before it", async () => {
    let round = 0;
    world.mock.on(/chain/, function* () {
      if (round === 5) return yield text("Done.");
      round += 1;
      yield text(`Step ${round}.`);
      yield use("step", { round });
    });
    const { send } = chat("chain");
    const tools = [tool("step")];
    let answer = await send(tools, user("chain"));
    for (let step = 1; step <= 5; step += 1) {
      expect([answer.content, callsOf(answer).map((call) => call.arguments)]).toEqual([
        `Step ${step}.`,
        [`{"round":${step}}`],
      ]);
      answer = await send(tools, result(answer, "step", `${step}`));
    }
    expect([answer.content, answer.finish]).toEqual(["Done.", "stop"]);
  });
});

describe("the tools that claude is offered", () => {
  const { send } = chat("offered");
  /** The client's tools in the newest model request of the turn with this message. */
  const offered = (message: string) => {
    const requests = world.mock.requests.filter(({ asked }) => asked.includes(`\n${message}\n`));
    return (requests.at(-1)?.body.tools ?? []).filter(({ name }) => name.startsWith(PREFIX));
  };

  test("change between turns with the list in the request", async () => {
    await send([tool("first")], user("one"));
    expect(offered("one").map(({ name }) => name)).toEqual([`${PREFIX}first`]);
    for (const name of ["second", "third", "fourth"]) {
      await send([tool(name)], user(name));
      expect(offered(name).map((one) => one.name)).toContain(PREFIX + name);
    }
    // Claude still shows the model a removed tool. The server answers a call of it itself.
    script(/use the old/, () => [use("first")]);
    const answer = await send([tool("fourth")], user("use the old"));
    expect([answer.content, answer.finish]).toEqual([expect.stringMatching(/^given ✗.*first/), "stop"]);
    // The client can offer the tool again.
    script(/once more/, () => [use("first")]);
    const calling = await send([tool("first")], user("once more"));
    expect(callsOf(calling)).toHaveLength(1);
    await send([tool("first")], result(calling, "first", ""));
  });

  test("change within a turn with the list that is sent with results", async () => {
    world.mock.on(/mid-turn/, function* (request) {
      const results = given(request);
      if (results === "") yield use("early");
      else if (results === "E") yield use("late");
      else yield text(`given ${results}`);
    });
    const first = await send([tool("early")], user("mid-turn"));
    const second = await send([tool("late")], result(first, "early", "E"));
    expect(callsOf(second).map(({ name }) => name)).toEqual(["late"]);
    expect((await send([tool("late")], result(second, "late", "L"))).content).toBe("given L");
  });

  test("have names that claude accepts, and unchanged schemas", async () => {
    const schema = {
      type: "object",
      required: ["x"],
      additionalProperties: false,
      patternProperties: { "^.*$": {} },
      properties: { x: { anyOf: [{ type: "string" }, { $ref: "#/$defs/y" }] } },
      $defs: { y: { type: "integer", minimum: 1 } },
      "x-own": [1, null, { deep: true }],
    };
    const list = { type: "array", items: { type: "string" } };
    const long = "n".repeat(300);
    script(/use them/, () => [use("a_b", { x: 1 }), use("list", { input: ["p", "q"] })]);
    // Claude would drop a tool with one of these schemas, or all tools.
    const odd = [
      { anyOf: [{}] },
      { $ref: "#/$defs/y", $defs: { y: schema } },
      { type: ["object", "null"] },
      { type: null },
      { enum: [1] },
      { type: "object", required: null },
      { type: "object", properties: [] },
      { type: "object", properties: { x: true } },
      { type: "object", properties: { "x y": {} } },
      { properties: {} },
    ].map((parameters, at) => tool(`odd.${at}`, parameters));
    const tools = [tool("any", schema), tool("a b"), tool(long), tool("list", list), ...odd];
    const asked = await send(tools, user("use them"));
    const all = offered("use them") as unknown as { name: string; input_schema: object }[];
    expect(all.find(({ name }) => name === `${PREFIX}any`)?.input_schema).toEqual(schema);
    // Claude may still show tools of earlier turns.
    expect(all.length).toBeGreaterThanOrEqual(tools.length);
    expect(all.every(({ name }) => /^[A-Za-z0-9_-]{1,128}$/.test(name))).toBe(true);
    expect(callsOf(asked).map((call) => [call.name, call.arguments])).toEqual([
      ["a b", '{"x":1}'],
      ["list", '["p","q"]'],
    ]);
    await send(tools, result(asked, "a b", ""), result(asked, "list", ""));
  });
});

describe("a call", () => {
  const { send } = chat("nested");
  const nested = (depth: number): Record<string, unknown> => (depth === 0 ? {} : { a: nested(depth - 1) });

  test("with too deeply nested arguments is refused, and the turn continues", async () => {
    script(/abyss/, () => [use("a", nested(150))]);
    const { content, finish } = await send([tool("a")], user("abyss"));
    expect([content, finish]).toEqual([expect.stringMatching(/^given ✗.*nested/), "stop"]);
  });

  test("of a tool with the deepest schema that is allowed reaches the client", async () => {
    script(/shaft/, () => [use("a")]);
    const asked = await send([tool("a", { anyOf: [nested(92)] })], user("shaft"));
    expect(callsOf(asked).map(({ name }) => name)).toEqual(["a"]);
    await send([tool("a")], result(asked, "a", "done"));
  });
});

describe("a result", () => {
  const tools = [tool("a"), tool("b")];
  const { send, messages } = chat("results");

  test("of 200 KB of text is shown to the model unchanged", async () => {
    let seen = "";
    world.mock.on(/large/, function* ({ toolResults }) {
      if (toolResults.length === 0) return yield use("a");
      seen = toolResults[0]?.content ?? "";
      yield text("seen");
    });
    const long = "0123456789abcde\n".repeat(12_800);
    expect((await send(tools, result(await send(tools, user("large")), "a", long))).content).toBe("seen");
    expect(seen).toBe(long);
  });

  test("that is too large for claude is saved in a file, and claude gets its path", async () => {
    script(/huge/, () => [use("a")]);
    const huge = "h".repeat(1_500_000);
    const { content } = await send(tools, result(await send(tools, user("huge")), "a", huge));
    const path = /(\/\S+)\]$/.exec(content ?? "")?.[1] ?? "";
    expect(readFileSync(path, "utf8")).toBe(huge);
  });

  test("can be an image", async () => {
    let shown: unknown;
    world.mock.on(/picture/, function* ({ toolResults, body }) {
      if (toolResults.length === 0) return yield use("a");
      shown = body.messages;
      yield text("seen");
    });
    const asked = await send(tools, user("picture"));
    const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    messages.push({
      role: "tool",
      tool_call_id: callsOf(asked)[0]?.id,
      content: [{ type: "image_url", image_url: { url: `data:image/png;base64,${png}` } }],
    } as unknown as Message);
    expect((await send(tools)).content).toBe("seen");
    expect(JSON.stringify(shown)).toContain('"type":"image"');
  });

  test("can be an error", async () => {
    script(/fail/, () => [use("a")]);
    const failed = Object.assign(result(await send(tools, user("fail")), "a", "no such city"), { is_error: true });
    expect((await send(tools, failed)).content).toBe("given ✗no such city");
  });

  test("that is missing is an error for claude; a second or unknown one is ignored", async () => {
    script(/odd results/, () => [use("a"), use("b")]);
    const asked = await send(tools, user("odd results"));
    const unknown: Message = { role: "tool", tool_call_id: "callunknown", content: "U" };
    const answer = await send(tools, result(asked, "a", "A"), unknown, result(asked, "a", "again"));
    expect(answer.content).toStartWith("given A|✗");
  });

  test("of a call that has a result already starts a turn of its own", async () => {
    script(/in time/, () => [use("a")]);
    const asked = await send(tools, user("in time"));
    expect((await send(tools, result(asked, "a", "A"))).content).toBe("given A");
    messages.pop();
    expect((await send(tools)).content).toContain("[a returned]\nA");
  });
});

describe("a turn that waits for results", () => {
  const tools = [tool("a"), tool("b")];
  const { send, messages } = chat("waiting");
  /** Everything that the model was shown with this message. */
  const shownWith = async (message: string) => (await world.mock.request(new RegExp(`\n${message}\n`))).shown;

  test("ends when a message arrives instead, and claude gets that message", async () => {
    script(/ask first/, () => [text("Wait."), use("a"), use("b")]);
    await send(tools, user("ask first"));
    messages.pop();
    const answer = await send(tools, user("never mind"));
    expect([answer.content, answer.finish]).toEqual(["You said: never mind", "stop"]);
    expect(await shownWith("never mind")).toContain(NO_RESULT);
    expect((await send(tools, user("still there"))).content).toBe("You said: still there");
  });

  test("gives claude the results that arrive with a message, before the message", async () => {
    script(/steer me/, () => [use("a"), use("b")]);
    const asked = await send(tools, user("steer me"));
    const answer = await send(tools, result(asked, "a", "RESULT-A"), user("to the left"));
    expect(answer.content).toBe("You said: to the left");
    const shown = await shownWith("to the left");
    const turn = shown.slice(shown.indexOf("steer me"));
    const [message = -1, ...results] = ["to the left", "RESULT-A", NO_RESULT].map((one) => turn.indexOf(one));
    expect(results.every((position) => position >= 0 && position < message)).toBe(true);
  });

  test("outlives the connection of its client", async () => {
    script(/hold the line/, () => [use("a")]);
    const client = new AbortController();
    const body = {
      user: "line",
      stream: true,
      tools: [tool("a")],
      messages: [user("hold the line")],
    };
    const response = await world.server.post(body, {}, client.signal);
    const events = (await response.text()).split("\n\n").filter(Boolean);
    expect(events.at(-1)).toBe("data: [DONE]");
    client.abort();
    const id = /"id":"(call\w+)"/.exec(events.join())?.[1] ?? "";
    const answer = await world.server.post({
      ...body,
      stream: false,
      messages: [
        ...body.messages,
        { role: "assistant", content: null },
        { role: "tool", tool_call_id: id, content: "A" },
      ],
    });
    expect(await answer.json()).toMatchObject({ choices: [{ message: { content: "given A" } }] });
  });

  test("gets results that were sent into a dropped plugin socket", async () => {
    await using drops = await createWorld({ env: { SYNTHESIS_BRIDGE_PING_MS: "100" } });
    drops.mock.on(/hold the line/, function* (request) {
      if (request.toolResults.length === 0) yield* [use("a"), use("b")];
      else yield text(`given ${given(request)}`);
    });
    const { send } = chat("drops", { server: drops });
    const asked = await send(tools, user("hold the line"));
    const plugin = pluginsOf(drops.server.pid)[0] as number;
    process.kill(plugin, "SIGSTOP");
    const answer = send(tools, result(asked, "a", "A"), result(asked, "b", "B"));
    await drops.server.logged(/plugin silent/);
    process.kill(plugin, "SIGCONT");
    expect((await answer).content).toBe("given A|B");
    expect((await send(tools, user("still there"))).content).toBe("You said: still there");
  });

  test("ends after the time limit, and frees its conversation", async () => {
    await using brief = await createWorld({ env: { SYNTHESIS_PARKED_TOOL_TIMEOUT_MS: "300" } });
    brief.mock.on(/never/, function* (request) {
      if (request.toolResults.length === 0) yield use("a");
      else yield text(`given ${given(request)}`);
    });
    const { send } = chat("brief", { server: brief });
    const asked = await send(tools, user("never"));
    await brief.server.logged(/"turn .*user:brief/);
    const late = await send(tools, result(asked, "a", "late"));
    expect(late.content).toContain("[a returned]\nlate");
    const { shown } = await brief.mock.request(/\[a returned\]/);
    expect(shown).toContain("did not send the result in time");
  });

  test("can be interrupted over the control API; a later result starts a turn of its own", async () => {
    script(/stop waiting/, () => [use("a")]);
    const asked = await send(tools, user("stop waiting"));
    expect((await control(world, `${at("user:waiting")}/interrupt`, { method: "POST" })).status).toBe(200);
    expect((await send(tools, result(asked, "a", "too late"))).content).toContain("[a returned]\ntoo late");
    expect((await world.mock.request(/\ntoo late/)).shown).toContain("interrupted");
  });

  test("ends with its server; the next server starts a turn with the results", async () => {
    await using killed = await createWorld();
    killed.mock.on(/wait/, (request) => [request.toolResults.length === 0 ? use("a") : text("over")]);
    const before = chat("killed", { server: killed });
    const asked = await before.send(tools, user("wait"));
    await killed.server.stop("SIGKILL");
    const server = await startServer(killed.serverEnv);
    const after = chat("killed", { server: { ...killed, server } });
    after.messages.push(...before.messages);
    expect((await after.send(tools, result(asked, "a", "A"))).content).toContain("[a returned]\nA");
    await server.stop();
  });

  test("does not keep the server from shutting down", async () => {
    const ending = await createWorld({ env: { SYNTHESIS_DRAIN_MS: "60000" } });
    ending.mock.on(/wait/, (request) => [request.toolResults.length === 0 ? use("a") : text("over")]);
    await chat("end", { server: ending }).send(tools, user("wait"));
    // The drain time is far longer than this test's timeout.
    expect(await ending.server.stop()).toBe(0);
    await ending[Symbol.asyncDispose]();
  });
});

test("in tool mode calls also reach the client, and a final reply ends the turn", async () => {
  await using mode = await createWorld({ env: { SYNTHESIS_REPLY: "tool" } });
  mode.mock.on(/question/, function* (request) {
    if (request.toolResults.length === 0) {
      yield use("reply", { content: "On it.", final: false });
      yield use("a");
    } else if (given(request).includes("A")) yield use("reply", { content: `given ${given(request)}` });
  });
  const { send } = chat("mode", { server: mode });
  const asked = await send([tool("a")], user("question"));
  expect([asked.content, callsOf(asked).map(({ name }) => name)]).toEqual(["On it.", ["a"]]);
  expect((await send([tool("a")], result(asked, "a", "A"))).content).toBe("given A|sent");
});
