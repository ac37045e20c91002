/** A client whose user edits, undoes and branches: what Claude is told of it, with the stand-in as Claude. */
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

/** The answer, which says what Claude was sent, and how the request found its Claude. */
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
    found: response.headers.get("x-synthesis-process"),
  };
}

/** One chat window: its messages, and a way to ask that keeps the answer. */
function chat(name: string, options: Options = {}) {
  const messages: Message[] = [];
  return {
    messages,
    say: async (words: string, more: Options = {}) => {
      messages.push(user(words));
      const said = await say(name, messages, { ...options, ...more });
      messages.push(assistant(said.answer));
      return said;
    },
  };
}
const said = (words: string, ...context: string[]) =>
  `You said: ${context.length > 0 ? `<context>\n${context.join("\n\n")}\n</context>\n\n` : ""}${words}`;
const takenBack = (count: number) =>
  count === 1
    ? "The person has taken back their last message; it and your answer to it no longer count."
    : `The person has taken back their last ${count} messages; they and your answers to them no longer count.`;

describe("a chat of three turns", () => {
  async function three(name: string, options: Options = {}) {
    const window = chat(name, options);
    for (const words of ["one", "two", "three"]) expect((await window.say(words)).answer).toBe(said(words));
    return window;
  }

  test("that is begun anew with other words: the earlier ones no longer count", async () => {
    await three("anew");
    const again = chat("anew");
    expect((await again.say("ONE")).answer).toBe(said("ONE", takenBack(3)));
    expect((await again.say("more")).answer).toBe(said("more"));
  });

  test("without a pair in the middle: what remains is told", async () => {
    const { messages } = await three("pair");
    messages.splice(2, 2);
    const { answer } = await say("pair", [...messages, user("four")]);
    expect(answer).toContain('What came after the answer to "one" no longer counts; from there on it reads:');
    expect(answer).toContain("User: three\n\nAssistant: You said: three\n</context>\n\nfour");
    expect(answer).not.toContain("User: two");
  });

  test("with an answer replaced: the new one is told, once, also after a restart", async () => {
    await using other = await createWorld({ standIn: true });
    const window = await three("replaced", { server: other.server });
    window.messages[3] = assistant("Something else.");
    expect((await window.say("four", { server: other.server })).answer).toContain("Assistant: Something else.");
    await other.server.stop();
    const server = await startServer(other.serverEnv);
    expect((await window.say("five", { server })).answer).toBe(said("five"));
    await server.stop();
  });

  test("of a program that names its chats by a header: the first message can be edited, too", async () => {
    const headers = { "x-chat-id": "7" };
    await chat("", { headers }).say("one");
    expect((await chat("", { headers }).say("ONE")).answer).toBe(said("ONE", takenBack(1)));
  });
});

describe("a program that sends more than it keeps", () => {
  const wrap = (words: string) => `### Task:\nUse the notes.\n<notes>\na note\n</notes>\n<query>${words}</query>`;

  test("edits nothing: also not in the eyes of a server that was restarted in between", async () => {
    await using other = await createWorld({ standIn: true });
    const kept: Message[] = [];
    let { server } = other;
    for (const words of ["one", "two", "three"]) {
      const { answer } = await say("rag", [...kept, user(wrap(words))], { server });
      expect(answer).toBe(said(wrap(words)));
      kept.push(user(words), assistant(answer));
      await server.stop();
      server = await startServer(other.serverEnv);
    }
    await server.stop();
  });

  test("has its note delivered with every message", async () => {
    const kept: Message[] = [];
    for (const words of ["one", "two", "three"]) {
      const { answer } = await say("note", [...kept, user(words), user("[Be brief.]")]);
      expect(answer).toBe(said(`${words}\n\n[Be brief.]`));
      kept.push(user(words), assistant(answer));
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

  test("asked side by side have a Claude session each, and hear nothing of each other", async () => {
    const windows = [chat("side", { model: first }), chat("side", { model: second })];
    for (const words of ["one", "two", "three"]) {
      const answers = await Promise.all(windows.map((window) => window.say(words)));
      expect(answers.map(({ answer }) => answer)).toEqual([said(words), said(words)]);
    }
    expect((await sessionKeys()).filter((key) => key.endsWith("user:side")).sort()).toEqual([
      `model:${second}:user:side`,
      "user:side",
    ]);
  });

  test("asked side by side later: the second begins with what was said so far", async () => {
    const window = chat("later", { model: first });
    await window.say("one");
    const before = [...window.messages];
    await window.say("two");
    const { answer } = await say("later", [...before, user("two")], { model: second });
    expect(answer).toBe(
      said("two", "What was said in this chat before you came:\n\nUser: one\n\nAssistant: You said: one"),
    );
    // The first one has not noticed.
    expect((await window.say("three")).answer).toBe(said("three"));
  });

  test("one after the other go on in the same Claude session", async () => {
    const window = chat("change", { model: first });
    await window.say("one");
    const changed = await window.say("two", { model: second });
    expect(changed).toEqual({ answer: said("two"), session: "user:change", found: "resumed" });
    expect((await window.say("three", { model: second })).found).toBe("warm");
  });

  test("are forgotten together", async () => {
    const windows = [chat("both", { model: first }), chat("both", { model: second })];
    await Promise.all(windows.map((window) => window.say("one")));
    const authorization = `Bearer ${await controlKey()}`;
    const url = `${world.server.url}/v1/sessions/user%3Aboth`;
    expect((await fetch(url, { method: "DELETE", headers: { authorization } })).status).toBe(200);
    expect((await sessionKeys()).filter((key) => key.endsWith("user:both"))).toEqual([]);
  });

  test("a client cannot name a model's branch", async () => {
    const headers = { "x-openclaw-session-key": "model:haiku:user:side" };
    expect((await say("", [user("one")], { headers })).session).toBe("key:model:haiku:user:side");
  });
});
