/**
 * On the real claude: requests that chat programs make for themselves, such as titles, under the key of a conversation.
 * They are one-shots: the conversation does not wait for them and is not shown them.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type OpenAI from "openai";
import { at, control } from "../support/control.ts";
import { agentTurn, libreChatTitle, opencodeTitle, openWebUiRetrieval, openWebUiTask } from "../support/front-ends.ts";
import { type ModelRequest, text, toolUse } from "../support/mock-anthropic.ts";
import { next, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const CHAT_ID = "X-OpenWebUI-Chat-Id";
let world: World;
beforeAll(async () => {
  world = await createWorld({ env: { SYNTHESIS_IDENTITY_HEADER: CHAT_ID } });
});
afterAll(() => world[Symbol.asyncDispose]());

type Message = { role: string; content: unknown };
const user = (content: unknown): Message => ({ role: "user", content });
const assistant = (content: unknown): Message => ({ role: "assistant", content });
const turn = (...messages: Message[]) => ({ model: "synthesis-claude-bridge", stream: true, messages });

const sessionOf = (response: Response) => response.headers.get("x-synthesis-session");
async function answerOf(response: Response): Promise<string> {
  if (response.headers.get("content-type")?.includes("text/event-stream")) {
    return (await Array.fromAsync(texts(response))).join("");
  }
  const { choices } = (await response.json()) as OpenAI.ChatCompletion;
  return `${choices[0]?.message.content}`;
}
/** Sends a request. @returns its answer and its session */
async function send(body: object, headers: Record<string, string> = {}, to = world) {
  const response = await to.server.post(body, headers);
  return { session: sessionOf(response), answer: await answerOf(response) };
}
/** The model answers every matching message with this text. */
const script = (match: RegExp, answer: string, to = world) =>
  to.mock.on(match, function* () {
    yield text(answer);
  });
/** The model begins its answer, and completes it when the returned function is called. */
function hold(match: RegExp, to = world) {
  const gate = Promise.withResolvers<void>();
  to.mock.on(match, async function* () {
    yield text("One moment.\n");
    await gate.promise;
    yield text("Done.");
  });
  return gate.resolve;
}
const newest = (match: RegExp, of = world) =>
  of.mock.requests.findLast(({ asked }) => match.test(asked)) as ModelRequest;
const toolsOf = ({ body }: ModelRequest) => (body.tools ?? []).map(({ name }) => name);
const turnsOf = async (key: string, of = world) =>
  ((await (await control(of, at(key))).json()) as { turns: number }).turns;

describe("Open WebUI", () => {
  const tasks = (asked: string, answer?: string) =>
    ["Find a short title.", "Find broad tags.", "Suggest follow-up questions."].map((instruction) =>
      openWebUiTask(`${instruction} About the greenhouse.`, [[asked, answer]]),
    );
  const headers = { [CHAT_ID]: "chat-1" };
  const KEY = `header:${CHAT_ID.toLowerCase()}:chat-1`;

  test("tasks are answered during the first turn, and leave the conversation unchanged", async () => {
    script(/### Task:[\s\S]*title/, '{"title": "Greenhouse"}');
    script(/### Task:[\s\S]*tags/, '{"tags": ["Gardens"]}');
    script(/### Task:[\s\S]*follow-up/, '{"follow_ups": ["Why?"]}');
    const release = hold(/<channel [\s\S]*heat the greenhouse/);
    const first = await world.server.post(turn(user("How do I heat the greenhouse?")), headers);
    expect(sessionOf(first)).toBe(KEY);
    const written = texts(first);
    expect(await next(written)).toBe("One moment.\n");

    const answers = await Promise.all(tasks("How do I heat the greenhouse?").map((body) => send(body, headers)));
    expect(answers).toEqual([
      { session: "stateless", answer: '{"title": "Greenhouse"}' },
      { session: "stateless", answer: '{"tags": ["Gardens"]}' },
      { session: "stateless", answer: '{"follow_ups": ["Why?"]}' },
    ]);
    for (const match of [/title/, /tags/, /follow-up/]) {
      const asked = newest(new RegExp(`^### Task:[\\s\\S]*${match.source}`));
      expect(toolsOf(asked)).toEqual([]);
      expect(asked.shown).not.toContain("<channel ");
    }
    release();
    expect((await Array.fromAsync(written)).join("")).toBe("Done.");

    // A task that arrives after the answer, and then the next turn.
    await send(tasks("How do I heat the greenhouse?", "Done.")[0] ?? {}, headers);
    const history = [user("How do I heat the greenhouse?"), assistant("One moment.\nDone.")];
    const second = await world.server.post(turn(...history, user("And cool it?")), headers);
    expect([sessionOf(second), second.headers.get("x-synthesis-process")]).toEqual([KEY, "warm"]);
    expect(await answerOf(second)).toBe("You said: And cool it?");
    expect(newest(/And cool it/).shown).not.toMatch(/### Task|edited|taken back/);
    expect(toolsOf(newest(/And cool it/))).toContain("Bash");
    expect(await turnsOf(KEY)).toBe(2);
  });

  test("a message with retrieved context is a turn, and so is a task that the user pastes", async () => {
    const chat = { [CHAT_ID]: "chat-2" };
    const key = `header:${CHAT_ID.toLowerCase()}:chat-2`;
    const found = await send(turn(user(openWebUiRetrieval("How tall are oaks?", "Forty metres."))), chat);
    expect(found.session).toBe(key);
    const history = [user("How tall are oaks?"), assistant(found.answer)];
    const pasted = `${tasks("x")[0]?.messages[0]?.content}`;
    expect((await send(turn(...history, user(pasted)), chat)).session).toBe(key);
    expect(await turnsOf(key)).toBe(2);
  });
});

describe("opencode", () => {
  const affinity = (id: string) => ({ "x-session-affinity": id });
  const PREFIX = "mcp__plugin_synthesis_chat__";

  test("a title is answered before the first turn and during it", async () => {
    const headers = affinity("ses_one");
    script(/^prune the module$|Generate a title/, "Pruning");
    expect(await send(opencodeTitle("prune the module"), headers)).toEqual({ session: "stateless", answer: "Pruning" });
    const release = hold(/<channel [\s\S]*prune the module/);
    const first = await world.server.post(agentTurn([user("prune the module")]), headers);
    expect(sessionOf(first)).toBe("affinity:ses_one");
    const written = texts(first);
    await next(written);
    expect(await send(opencodeTitle("prune the module"), headers)).toEqual({ session: "stateless", answer: "Pruning" });
    release();
    expect((await Array.fromAsync(written)).join("")).toBe("Done.");
    const history = [user("prune the module"), assistant("One moment.\nDone.")];
    const second = await world.server.post(agentTurn([...history, user("thank you")]), headers);
    expect(second.headers.get("x-synthesis-process")).toBe("warm");
    expect(await answerOf(second)).toBe("You said: thank you");
    expect(newest(/thank you/).shown).not.toMatch(/title generator|Generate a title/);
    expect(toolsOf(newest(/thank you/))).toContain(`${PREFIX}edit`);
    expect(await turnsOf("affinity:ses_one")).toBe(2);
  });

  test("a side request of unknown wording is recognised, also while the turn waits for tool results", async () => {
    const headers = affinity("ses_two");
    world.mock.on(/<channel [\s\S]*water the plants/, function* ({ toolResults }) {
      if (toolResults.length === 0) yield toolUse(`${PREFIX}read`, { path: "plants.txt" });
      else yield text(`It says: ${toolResults[0]?.content}`);
    });
    script(/^Name this chat|^water the plants$/, "Watering");
    const asked = user("water the plants");
    const response = await world.server.post({ ...agentTurn([asked]), stream: false }, headers);
    const message = ((await response.json()) as OpenAI.ChatCompletion).choices[0]?.message;
    const [call] = message?.tool_calls ?? [];
    if (!call) throw new Error("no call");

    const namer = { role: "system", content: "You name chats. Be brief." };
    const named = await send(turn(namer, user("Name this chat."), asked), headers);
    expect(named).toEqual({ session: "stateless", answer: "Watering" });
    const quoting = await send(turn(namer, user("Name this chat.\n\nPerson: water the plants")), headers);
    expect(quoting).toEqual({ session: "stateless", answer: "Watering" });
    // No request continues it, so no process waits for one.
    const { data } = (await (await control(world, "")).json()) as { data: { key: string }[] };
    expect(data.filter(({ key }) => key.startsWith("unnamed:"))).toEqual([]);

    const result = { role: "tool", tool_call_id: call.id, content: "ferns" };
    const called = { role: "assistant", content: null, tool_calls: message?.tool_calls };
    const end = await send(agentTurn([asked, called as Message, result as Message]), headers);
    expect(end).toEqual({ session: "affinity:ses_two", answer: "It says: ferns" });
    expect(newest(/water the plants/).shown).not.toContain("Name this chat");
    expect(await turnsOf("affinity:ses_two")).toBe(1);
  });

  test("messages of the user are turns, also with other tools and another system prompt", async () => {
    await using other = await createWorld({ standIn: true });
    const headers = affinity("ses_three");
    const opening = user("sow the seeds in rows");
    const key = "affinity:ses_three";
    const first = await send(agentTurn([opening]), headers, other);
    expect(first.session).toBe(key);
    const history = [opening, assistant(first.answer)];
    const changes: object[] = [
      // Without tools, with another system prompt, and both.
      { ...agentTurn([...history, user("second")]), tools: [] },
      agentTurn([...history, user("third")], "You are a gardener."),
      { ...agentTurn([...history, user("fourth")], "You are a farmer."), tools: undefined },
      // A client that sends the newest message only.
      { ...agentTurn([user("fifth")], "You are a forester."), tools: undefined },
    ];
    for (const body of changes) expect((await send(body, headers, other)).session).toBe(key);
    expect(await turnsOf(key, other)).toBe(5);
  });
});

test("LibreChat's title is not a turn of the conversation", async () => {
  script(/^Provide a concise/, "Rose Pruning Basics");
  const body = { ...turn(user("How do I prune roses?")), user: "librechat-person" };
  const first = await send(body);
  expect(first.session).toBe("user:librechat-person");
  const title = { ...libreChatTitle("How do I prune roses?", first.answer), user: "librechat-person" };
  expect(await send(title)).toEqual({ session: "stateless", answer: "Rose Pruning Basics" });
  const history = [user("How do I prune roses?"), assistant(first.answer)];
  const second = await send({ ...body, messages: [...history, user("And when?")] });
  expect(second.answer).toBe("You said: And when?");
  expect(newest(/And when/).shown).not.toMatch(/Conversation:|word-or-less title/);
  expect(await turnsOf("user:librechat-person")).toBe(2);
});

test("side requests stay apart with interactive one-shots and one conversation for all requests without a key", async () => {
  await using other = await createWorld({
    env: { SYNTHESIS_ONE_SHOTS: "interactive", SYNTHESIS_IDENTITY_FALLBACK: "default" },
  });
  const first = await send(turn(user("How do I heat the greenhouse?")), {}, other);
  expect(first.session).toBe("default");
  const task = openWebUiTask("Find a short title.", [["How do I heat the greenhouse?", first.answer]]);
  const title = await send(task, {}, other);
  expect(title.session).toBe("stateless");
  expect(toolsOf(newest(/Find a short title/, other))).toEqual([]);
  const history = [user("How do I heat the greenhouse?"), assistant(first.answer)];
  const second = await send(turn(...history, user("And cool it?")), {}, other);
  expect(second).toEqual({ session: "default", answer: "You said: And cool it?" });
  expect(newest(/And cool it/, other).shown).not.toContain("### Task");
  expect(await turnsOf("default", other)).toBe(2);
});
