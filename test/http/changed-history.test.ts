/** What the server sends to Claude after a user edits, undoes or branches a chat. The stand-in repeats what it gets. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type OpenAI from "openai";
import { startServer, type TestServer } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ standIn: true, env: { SYNTHESIS_IDENTITY_HEADER: "x-chat-id" } });
});
afterAll(() => world[Symbol.asyncDispose]());

type Message = OpenAI.ChatCompletionMessageParam;
const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });

interface Options {
  readonly model?: string;
  readonly server?: TestServer;
  readonly headers?: Record<string, string>;
}

/** Sends the messages. @returns the answer, which repeats what Claude was sent, the session key and the process origin */
async function say(name: string, messages: Message[], { model, server = world.server, headers = {} }: Options = {}) {
  const named = "x-chat-id" in headers ? { user: undefined } : { user: name };
  const response = await server.post(
    { ...ask("", { stream: false, ...named, ...(model ? { model } : {}) }), messages },
    headers,
  );
  const { choices } = (await response.json()) as OpenAI.ChatCompletion;
  const answer = choices[0]?.message.content ?? "";
  return {
    answer,
    session: decodeURI(response.headers.get("x-synthesis-session") ?? ""),
    origin: response.headers.get("x-synthesis-process"),
  };
}

/** A chat window, which keeps its messages and the answers. */
function chat(name: string, options: Options = {}) {
  const messages: Message[] = [];
  return {
    messages,
    say: async (text: string, more: Options = {}) => {
      messages.push(user(text));
      const result = await say(name, messages, { ...options, ...more });
      messages.push(assistant(result.answer));
      return result;
    },
  };
}
/** The answer to a message that Claude was sent with this context. */
const said = (text: string, ...context: string[]) =>
  `You said: ${context.length > 0 ? `<context>\n${context.join("\n\n")}\n</context>\n\n` : ""}${text}`;
const takenBack = (count: number) =>
  count === 1
    ? "The person has taken back their last message; it and your answer to it no longer count."
    : `The person has taken back their last ${count} messages; they and your answers to them no longer count.`;

describe("after three turns", () => {
  async function three(name: string, options: Options = {}) {
    const window = chat(name, options);
    for (const text of ["one", "two", "three"]) expect((await window.say(text)).answer).toBe(said(text));
    return window;
  }

  test("a chat that starts again with another message takes the earlier ones back", async () => {
    await three("anew");
    const again = chat("anew");
    expect((await again.say("ONE")).answer).toBe(said("ONE", takenBack(3)));
    expect((await again.say("more")).answer).toBe(said("more"));
  });

  test("a chat without its second exchange is repeated from there", async () => {
    const { messages } = await three("pair");
    messages.splice(2, 2);
    const { answer } = await say("pair", [...messages, user("four")]);
    expect(answer).toContain('What came after the answer to "one" no longer counts; from there on it reads:');
    expect(answer).toContain("User: three\n\nAssistant: You said: three\n</context>\n\nfour");
    expect(answer).not.toContain("User: two");
  });

  test("a replaced answer is sent once, even after a restart", async () => {
    await using other = await createWorld({ standIn: true });
    const window = await three("replaced", { server: other.server });
    window.messages[3] = assistant("Something else.");
    expect((await window.say("four", { server: other.server })).answer).toContain("Assistant: Something else.");
    await other.server.stop();
    const server = await startServer(other.serverEnv);
    expect((await window.say("five", { server })).answer).toBe(said("five"));
    await server.stop();
  });

  test("the first message can be edited if a header names the chat", async () => {
    const headers = { "x-chat-id": "7" };
    await chat("", { headers }).say("one");
    expect((await chat("", { headers }).say("ONE")).answer).toBe(said("ONE", takenBack(1)));
  });
});

describe("a client that adds text to its messages and does not keep it", () => {
  const wrap = (text: string) => `### Task:\nUse the notes.\n<notes>\na note\n</notes>\n<query>${text}</query>`;

  test("has not edited the chat, even for a server that was restarted in between", async () => {
    await using other = await createWorld({ standIn: true });
    const kept: Message[] = [];
    let { server } = other;
    for (const text of ["one", "two", "three"]) {
      const { answer } = await say("rag", [...kept, user(wrap(text))], { server });
      expect(answer).toBe(said(wrap(text)));
      kept.push(user(text), assistant(answer));
      await server.stop();
      server = await startServer(other.serverEnv);
    }
    await server.stop();
  });

  test("gets its note delivered with every message", async () => {
    const kept: Message[] = [];
    for (const text of ["one", "two", "three"]) {
      const { answer } = await say("note", [...kept, user(text), user("[Be brief.]")]);
      expect(answer).toBe(said(`${text}\n\n[Be brief.]`));
      kept.push(user(text), assistant(answer));
    }
  });
});

describe("two models in one chat", () => {
  const controlKey = async () => (await Bun.file(join(world.claude.base, "state/control.key")).text()).trim();
  async function sessionKeys(): Promise<string[]> {
    const headers = { authorization: `Bearer ${await controlKey()}` };
    const list = (await (await fetch(`${world.server.url}/v1/sessions`, { headers })).json()) as {
      data: { key: string }[];
    };
    return list.data.map(({ key }) => key);
  }
  const [first, second] = ["opus", "haiku"] as const;

  test("have a Claude session each when they are asked in parallel, and receive only their own answers", async () => {
    const windows = [chat("side", { model: first }), chat("side", { model: second })];
    for (const text of ["one", "two", "three"]) {
      const answers = await Promise.all(windows.map((window) => window.say(text)));
      expect(answers.map(({ answer }) => answer)).toEqual([said(text), said(text)]);
    }
    expect((await sessionKeys()).filter((key) => key.endsWith("user:side")).sort()).toEqual([
      `model:${second}:user:side`,
      "user:side",
    ]);
  });

  test("share the history up to the turn from which they are asked in parallel", async () => {
    const window = chat("later", { model: first });
    await window.say("one");
    const before = [...window.messages];
    await window.say("two");
    const { answer } = await say("later", [...before, user("two")], { model: second });
    expect(answer).toBe(
      said("two", "What was said in this chat before you came:\n\nUser: one\n\nAssistant: You said: one"),
    );
    // Nothing has changed for the first model.
    expect((await window.say("three")).answer).toBe(said("three"));
  });

  test("use the same Claude session when they are asked one after the other", async () => {
    const window = chat("change", { model: first });
    await window.say("one");
    const changed = await window.say("two", { model: second });
    // Over stream-json the model changes while the process runs.
    const origin = process.env.TEST_ENGINE === "stream" ? "warm" : "resumed";
    expect(changed).toEqual({ answer: said("two"), session: "user:change", origin });
    expect((await window.say("three", { model: second })).origin).toBe("warm");
  });

  test("are deleted together", async () => {
    const windows = [chat("both", { model: first }), chat("both", { model: second })];
    await Promise.all(windows.map((window) => window.say("one")));
    const authorization = `Bearer ${await controlKey()}`;
    const url = `${world.server.url}/v1/sessions/user%3Aboth`;
    expect((await fetch(url, { method: "DELETE", headers: { authorization } })).status).toBe(200);
    expect((await sessionKeys()).filter((key) => key.endsWith("user:both"))).toEqual([]);
  });

  test("have branches that a client cannot name", async () => {
    const headers = { "x-openclaw-session-key": "model:haiku:user:side" };
    expect((await say("", [user("one")], { headers })).session).toBe("key:model:haiku:user:side");
  });
});
