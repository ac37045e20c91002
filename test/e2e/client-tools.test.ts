/** A client's tools inside the real claude: what it is offered, what the client is asked, what claude gets back. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type OpenAI from "openai";
import { at, control } from "../support/control.ts";
import { type ModelRequest, type Step, text, toolUse } from "../support/mock-anthropic.ts";
import { descendants, withCommand } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { createWorld, type World } from "../support/world.ts";

const PREFIX = "mcp__plugin_synthesis_chat__";
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

/** A client's side of one conversation, through the official library. */
function chat(name: string, { stream = true, server = world }: { stream?: boolean; server?: World } = {}) {
  const messages: Message[] = [];
  const send = async (tools: Tool[], ...more: Message[]): Promise<Answer> => {
    messages.push(...more);
    const body = { model: "synthesis-claude-bridge", user: name, messages, ...(tools.length > 0 ? { tools } : {}) };
    const { openai } = server.server;
    const choice = stream
      ? (await openai.chat.completions.stream(body).finalChatCompletion()).choices[0]
      : (await openai.chat.completions.create(body)).choices[0];
    if (!choice) throw new Error("no choice");
    const { role, content, tool_calls } = choice.message;
    messages.push({ role, content, ...(tool_calls ? { tool_calls } : {}) });
    return { ...choice.message, finish: choice.finish_reason };
  };
  return { messages, send };
}
const callsOf = ({ tool_calls }: Answer) =>
  (tool_calls ?? []).map((call) => {
    if (call.type !== "function") throw new Error("no function");
    return { id: call.id, name: call.function.name, arguments: call.function.arguments };
  });
const result = (answer: Answer, name: string, content: OpenAI.ChatCompletionToolMessageParam["content"]): Message => {
  const call = callsOf(answer).find((one) => one.name === name);
  return { role: "tool", tool_call_id: call?.id ?? "none", content };
};
/** What claude was given in the newest round; it comes in the order in which claude took it up. */
const given = ({ toolResults }: ModelRequest) =>
  toolResults
    .map(({ content, isError }) => `${isError ? "✗" : ""}${content}`)
    .sort()
    .join("|");
/** The model says this, calls these, and says what it was given. */
const script = (match: RegExp, first: () => Step[]) =>
  world.mock.on(match, function* (request) {
    if (request.toolResults.length === 0) yield* first();
    else yield text(`given ${given(request)}`);
  });

describe.each([{ stream: true }, { stream: false }])("with stream: $stream", ({ stream }) => {
  test("calls made together come together, with the text before them, and their results go back", async () => {
    script(/call three/, () => [text("Let me\nlook."), use("a", { n: 1 }), use("b", { s: "x y" }), use("c")]);
    const { send } = chat(`one-${stream}`, { stream });
    const tools = ["a", "b", "c"].map((name) => tool(name));
    const asked = await send(tools, user("call three"));
    expect([asked.content, asked.finish]).toEqual(["Let me\nlook.", "tool_calls"]);
    const calls = callsOf(asked);
    expect(calls.map((call) => [call.name, JSON.parse(call.arguments)])).toEqual([
      ["a", { n: 1 }],
      ["b", { s: "x y" }],
      ["c", {}],
    ]);
    expect(calls.every(({ id }) => /^call[A-Za-z0-9]+$/.test(id))).toBe(true);
    // In any order.
    const answer = await send(tools, result(asked, "c", "C"), result(asked, "a", "A"), result(asked, "b", "B"));
    expect([answer.content, answer.finish, answer.tool_calls]).toEqual(["given A|B|C", "stop", undefined]);
    // The same claude goes on, and nothing is told twice.
    expect((await send(tools, user("and then"))).content).toBe("You said: and then");
    expect(world.mock.requests.at(-1)?.shown.split("call three\n")).toHaveLength(2);
  });

  test("calls that the model makes with a pause between them come together all the same", async () => {
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
    const { send } = chat(`two-${stream}`, { stream });
    const asking = send([tool("a"), tool("b")], user("slow pair"));
    // claude has begun with the first, the second is not written yet.
    await world.server.logged(new RegExp(`call received.*user:two-${stream}`));
    gate.resolve();
    const asked = await asking;
    expect([asked.content, callsOf(asked).map(({ name }) => name)]).toEqual(["One moment.", ["a", "b"]]);
    expect((await send([], result(asked, "a", "A"), result(asked, "b", "B"))).content).toBe("given A|B");
  });

  test("a chain of five is five rounds of one turn, text around each call in its place", async () => {
    let round = 0;
    world.mock.on(/chain/, function* () {
      if (round === 5) return yield text("Done.");
      round += 1;
      yield text(`Step ${round}.`);
      yield use("step", { round });
    });
    round = 0;
    const { send } = chat(`chain-${stream}`, { stream });
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

describe("what claude is offered", () => {
  const offered = (request: ModelRequest | undefined) =>
    (request?.body.tools ?? []).filter(({ name }) => name.startsWith(PREFIX));
  const newest = () => world.mock.requests.at(-1);

  test("changes with the request's list, in mid-conversation", async () => {
    const { send } = chat("list");
    await send([tool("first")], user("one"));
    expect(offered(newest()).map(({ name }) => name)).toEqual([`${PREFIX}first`]);
    for (const name of ["second", "third", "fourth"]) {
      await send([tool(name)], user(name));
      expect(offered(newest()).map((one) => one.name)).toContain(PREFIX + name);
    }
    // What is gone, claude still shows; a call of it is answered, and no client is asked.
    script(/use the old/, () => [use("first")]);
    const answer = await send([tool("fourth")], user("use the old"));
    expect([answer.content, answer.finish]).toEqual(["given ✗The tool first is no longer offered.", "stop"]);
    // And comes back.
    script(/once more/, () => [use("first")]);
    expect(callsOf(await send([tool("first")], user("once more")))).toHaveLength(1);
  });

  test("changes with the list that comes with results, in mid-turn", async () => {
    world.mock.on(/mid-turn/, function* (request) {
      const results = given(request);
      if (results === "") yield use("early");
      else if (results === "E") yield use("late");
      else yield text(`given ${results}`);
    });
    const { send } = chat("mid");
    const first = await send([tool("early")], user("mid-turn"));
    const second = await send([tool("late")], result(first, "early", "E"));
    expect(callsOf(second).map(({ name }) => name)).toEqual(["late"]);
    expect((await send([tool("late")], result(second, "late", "L"))).content).toBe("given L");
  });

  test("has names it can spell, and schemas unharmed", async () => {
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
    const { send } = chat("schemas");
    const long = "n".repeat(300);
    script(/use them/, () => [use("a_b", { x: 1 }), use("list", { input: ["p", "q"] })]);
    // For each of these claude would drop the tool, or all of them.
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
    const all = offered(newest()) as unknown as { name: string; input_schema: object }[];
    expect(all.find(({ name }) => name === `${PREFIX}any`)?.input_schema).toEqual(schema);
    expect(all).toHaveLength(tools.length);
    expect(all.every(({ name }) => /^[A-Za-z0-9_-]{1,128}$/.test(name))).toBe(true);
    expect(callsOf(asked).map((call) => [call.name, call.arguments])).toEqual([
      ["a b", '{"x":1}'],
      ["list", '["p","q"]'],
    ]);
    await send(tools, result(asked, "a b", ""), result(asked, "list", ""));
  });
});

describe("a call", () => {
  const nested = (depth: number): Record<string, unknown> => (depth === 0 ? {} : { a: nested(depth - 1) });

  test("whose arguments are nested too deep is refused to claude, and the turn goes on", async () => {
    script(/abyss/, () => [use("a", nested(150))]);
    const { send } = chat("abyss");
    const { content, finish } = await send([tool("a")], user("abyss"));
    expect([content, finish]).toEqual([
      "given ✗This call is nested more than 100 levels deep. Send it flatter.",
      "stop",
    ]);
  });

  test("whose tool has a schema as deep as is let in reaches the client", async () => {
    script(/shaft/, () => [use("a")]);
    const { send } = chat("shaft");
    const asked = await send([tool("a", { anyOf: [nested(92)] })], user("shaft"));
    expect(callsOf(asked).map(({ name }) => name)).toEqual(["a"]);
    await send([tool("a")], result(asked, "a", "done"));
  });
});

describe("a result", () => {
  const tools = [tool("a"), tool("b")];

  test("may be 200 KB of text, which the model sees whole", async () => {
    let seen = "";
    world.mock.on(/large/, function* ({ toolResults }) {
      if (toolResults.length === 0) return yield use("a");
      seen = toolResults[0]?.content ?? "";
      yield text("seen");
    });
    const { send } = chat("large");
    const long = "0123456789abcde\n".repeat(12_800);
    expect((await send(tools, result(await send(tools, user("large")), "a", long))).content).toBe("seen");
    expect(seen).toBe(long);
  });

  test("too large for claude is in a file that claude is told of", async () => {
    script(/huge/, () => [use("a")]);
    const { send } = chat("huge");
    const huge = "h".repeat(1_500_000);
    const { content } = await send(tools, result(await send(tools, user("huge")), "a", huge));
    const path = /It is in (\S+)\]$/.exec(content ?? "")?.[1] ?? "";
    expect(readFileSync(path, "utf8")).toBe(huge);
  });

  test("may be an image", async () => {
    let shown: unknown;
    world.mock.on(/picture/, function* ({ toolResults, body }) {
      if (toolResults.length === 0) return yield use("a");
      shown = body.messages;
      yield text("seen");
    });
    const { send, messages } = chat("picture");
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

  test("may be an error", async () => {
    script(/fail/, () => [use("a")]);
    const { send } = chat("fail");
    const failed = Object.assign(result(await send(tools, user("fail")), "a", "no such city"), { is_error: true });
    expect((await send(tools, failed)).content).toBe("given ✗no such city");
  });

  test("that is missing is an error for claude; one that comes twice counts once; unknown ones count nothing", async () => {
    script(/odd results/, () => [use("a"), use("b")]);
    const { send } = chat("odd");
    const asked = await send(tools, user("odd results"));
    const unknown: Message = { role: "tool", tool_call_id: "callnobody", content: "U" };
    const answer = await send(tools, result(asked, "a", "A"), unknown, result(asked, "a", "again"));
    expect(answer.content).toStartWith("given A|✗");
  });

  test("of a call that is over begins a turn of its own", async () => {
    script(/in time/, () => [use("a")]);
    const { send, messages } = chat("over");
    const asked = await send(tools, user("in time"));
    expect((await send(tools, result(asked, "a", "A"))).content).toBe("given A");
    messages.pop();
    expect((await send(tools)).content).toContain("[a returned]\nA");
  });
});

describe("a turn that waits for results", () => {
  const tools = [tool("a"), tool("b")];

  test("ends when the user speaks instead, and claude hears them", async () => {
    script(/ask first/, () => [text("Wait."), use("a"), use("b")]);
    const { send, messages } = chat("instead");
    await send(tools, user("ask first"));
    messages.pop();
    const answer = await send(tools, user("never mind"));
    expect([answer.content, answer.finish]).toEqual(["You said: never mind", "stop"]);
    const { shown } = world.mock.requests.at(-1) as ModelRequest;
    expect(shown).toContain("The user sent another message instead.");
    expect((await send(tools, user("still there"))).content).toBe("You said: still there");
  });

  test("gives claude the results that come with the user's words, first", async () => {
    script(/steer me/, () => [use("a"), use("b")]);
    const { send } = chat("steer");
    const asked = await send(tools, user("steer me"));
    const answer = await send(tools, result(asked, "a", "RESULT-A"), user("to the left"));
    expect(answer.content).toBe("You said: to the left");
    const { shown } = world.mock.requests.at(-1) as ModelRequest;
    const [words = -1, ...results] = ["to the left", "RESULT-A", "The user sent another message instead."].map((one) =>
      shown.indexOf(one),
    );
    expect(results.every((place) => place >= 0 && place < words)).toBe(true);
  });

  test("does not mind that its client closes the connection", async () => {
    script(/hold the line/, () => [use("a")]);
    const leaving = new AbortController();
    const body = {
      user: "line",
      stream: true,
      tools: [tool("a")],
      messages: [user("hold the line")],
    };
    const response = await world.server.post(body, {}, leaving.signal);
    const events = (await response.text()).split("\n\n").filter(Boolean);
    expect(events.at(-1)).toBe("data: [DONE]");
    leaving.abort();
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

  test("gets its results also when the plugin's socket has dropped with them", async () => {
    await using drops = await createWorld({ env: { SYNTHESIS_BRIDGE_PING_MS: "100" } });
    drops.mock.on(/hold the line/, function* (request) {
      if (request.toolResults.length === 0) yield* [use("a"), use("b")];
      else yield text(`given ${given(request)}`);
    });
    const { send } = chat("drops", { server: drops });
    const asked = await send(tools, user("hold the line"));
    const plugin = withCommand(descendants(drops.server.pid), / channel$/)[0] as number;
    process.kill(plugin, "SIGSTOP");
    const answer = send(tools, result(asked, "a", "A"), result(asked, "b", "B"));
    await drops.server.logged(/plugin silent/);
    process.kill(plugin, "SIGCONT");
    expect((await answer).content).toBe("given A|B");
    expect((await send(tools, user("still there"))).content).toBe("You said: still there");
  });

  test("waits no longer than it may, and leaves its conversation free", async () => {
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
    const { shown } = brief.mock.requests.at(-1) as ModelRequest;
    expect(shown).toContain("did not send the result in time");
  });

  test("can be interrupted from outside; what is brought then is a turn of its own", async () => {
    script(/stop waiting/, () => [use("a")]);
    const { send } = chat("stopped");
    const asked = await send(tools, user("stop waiting"));
    expect((await control(world, `${at("user:stopped")}/interrupt`, { method: "POST" })).status).toBe(200);
    expect((await send(tools, result(asked, "a", "too late"))).content).toContain("[a returned]\ntoo late");
    expect(world.mock.requests.at(-1)?.shown).toContain("This turn was interrupted through the control API.");
  });

  test("is over with its server; what is brought to the next one is told all the same", async () => {
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

  test("does not keep the server from ending", async () => {
    const ending = await createWorld({ env: { SYNTHESIS_DRAIN_MS: "60000" } });
    ending.mock.on(/wait/, (request) => [request.toolResults.length === 0 ? use("a") : text("over")]);
    await chat("end", { server: ending }).send(tools, user("wait"));
    // Its own limit is far longer than this test may take.
    expect(await ending.server.stop()).toBe(0);
    await ending[Symbol.asyncDispose]();
  });
});

test("in tool mode the calls go out as well, and a final reply ends the turn", async () => {
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
