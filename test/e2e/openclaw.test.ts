/** On the real claude: what the model is shown of an OpenClaw conversation, across resets, restarts and failures. */
import { expect, test } from "bun:test";
import type OpenAI from "openai";
import type { ChatMessage } from "../../src/api/openai-chat/request.ts";
import { apiError, text } from "../support/mock-anthropic.ts";
import {
  agentRequest,
  assistant,
  contextMessage,
  type Sent,
  user,
  utilityRequest,
  withTimestamp,
} from "../support/openclaw.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { createWorld } from "../support/world.ts";

const COMPACTED = "The conversation history before this point was compacted into the following summary:";
const times = (shown: string, what: string) => shown.split(what).length - 1;

/** OpenClaw's side of one session. */
function openClaw(session: string) {
  let history: ChatMessage[] = [];
  let generation = 0;
  const post = ({ request, headers }: Sent, server: TestServer) =>
    server.post({ ...request, stream: false }, Object.fromEntries(headers));
  return {
    /** Sends a message, and adds it and the answer to OpenClaw's history. */
    say: async (server: TestServer, text: string): Promise<string> => {
      const message = user(withTimestamp(text, history.length));
      const traceparent = `00-${crypto.randomUUID().replaceAll("-", "")}-b7ad6b7169203331-01`;
      const options = { session, generation, headers: { traceparent } };
      const response = await post(agentRequest([...history, message, contextMessage()], options), server);
      expect(response.headers.get("x-synthesis-session")).toBe(session);
      const { choices } = (await response.json()) as OpenAI.ChatCompletion;
      const answer = choices[0]?.message.content ?? "";
      history = [...history, message, assistant(answer)];
      return answer;
    },
    /** Sends a side request with the keys of the conversation that it is about. */
    aside: async (server: TestServer, system: string): Promise<void> => {
      const names = { "x-openclaw-session-key": session, session_id: "7a3f2d54-61c5-4b0e-9f0a-3f4f6d5b8c11" };
      const { request, headers } = utilityRequest(system, "number 0.", names);
      const response = await post({ request: { ...request, model: "haiku" }, headers }, server);
      expect([response.status, response.headers.get("x-synthesis-session")]).toEqual([200, "stateless"]);
    },
    compact: () => {
      history = [user(`${COMPACTED}\n\nNumbers were said.`), ...history.slice(-2)];
      generation += 1;
    },
    reset: () => {
      history = [];
      generation += 1;
    },
  };
}

test("shows every message once, across a reset, a compaction, a title, and two restarts of the server", async () => {
  await using world = await createWorld();
  world.mock.on(/number (\d+)\./, function* ({ asked }) {
    yield text(`answer ${/number (\d+)\./.exec(asked)?.[1]}.`);
  });
  let { server } = world;
  const restart = async (signal?: NodeJS.Signals) => {
    await server.stop(signal);
    server = await startServer(world.serverEnv);
  };
  const client = openClaw("agent:main:main");
  /** How often the model is shown each message up to the newest, and each answer. */
  const shown = async (newest: number) => {
    const request = await world.mock.request(new RegExp(`<channel[\\s\\S]*number ${newest}\\.\\n</channel>`));
    const counted = (what: (number: number) => string) =>
      Array.from({ length: newest }, (_, at) => times(request.shown, what(at + 1)));
    expect(times(request.shown, "number 0.")).toBe(0);
    // The part of the system prompt that can change with each request is shown once, since it has not changed.
    expect(times(request.shown, "Current date: 2026-11-22")).toBe(1);
    return [counted((number) => `number ${number}.\n</channel>`), counted((number) => `answer ${number}.`)];
  };
  const say = async (...numbers: number[]) => {
    for (const number of numbers) expect(await client.say(server, `number ${number}.`)).toBe(`answer ${number}.`);
  };

  await say(1);
  await client.aside(server, "Generate a concise session title (3-6 words).");
  await say(2, 3);
  expect(await shown(3)).toEqual([
    [1, 1, 1],
    [1, 1, 0],
  ]);
  await client.aside(server, "You are a context summarization assistant.");
  client.compact();
  await say(4);
  await restart();
  await say(5);
  expect(await shown(5)).toEqual([
    [1, 1, 1, 1, 1],
    [1, 1, 1, 1, 0],
  ]);
  expect(times((await world.mock.request(/number 5\./)).shown, "Numbers were said.")).toBe(0);
  client.reset();
  await say(6, 7);
  await restart("SIGKILL");
  await say(8, 9, 10);
  expect(await shown(10)).toEqual([
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 0],
  ]);
  await server.stop();
});

test("shows a failed message once when OpenClaw sends it again, alone or with another", async () => {
  await using world = await createWorld();
  let failing = true;
  world.mock.on(/difficult/, function* () {
    if (failing) yield apiError(400, "invalid_request_error", "not now");
    else yield text("easy");
  });
  world.mock.on(/answer it now|and this/, function* () {
    yield text("easy");
  });
  for (const [session, again] of [
    ["agent:main:alone", "a difficult question"],
    ["agent:main:more", "a difficult question"],
  ] as const) {
    failing = true;
    const { request, headers } = agentRequest([user(withTimestamp(again)), contextMessage()], { session });
    const failed = await world.server.post({ ...request, stream: false }, Object.fromEntries(headers));
    // OpenClaw repeats a turn that ends with an error, so the error is text.
    expect([failed.status, await failed.text()]).toEqual([200, expect.stringContaining("[synthesis: ")]);
    failing = false;
    const more = session === "agent:main:more" ? [user(withTimestamp("and this?"))] : [];
    const next = agentRequest([user(withTimestamp(again)), ...more, contextMessage()], { session });
    const response = await world.server.post({ ...next.request, stream: false }, Object.fromEntries(next.headers));
    expect(await response.text()).toContain("easy");
    const newest = world.mock.requests.findLast(({ asked }) => asked.includes("<channel"));
    expect(times(newest?.shown ?? "", again)).toBe(1);
  }
});
