/** Which request joins which unnamed chat, and how long a chat lingers. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { UnnamedChats } from "../../src/conversation/unnamed.ts";
import { RequestError } from "../../src/core/errors.ts";
import { clientCallId } from "../../src/core/tools.ts";
import { readInput } from "../../src/intake/input.ts";
import type { ParsedRequest } from "../../src/intake/parsed-request.ts";
import type { TurnRequest } from "../../src/intake/turn-request.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { parsedRequest } from "../support/parsed-request.ts";

interface Message {
  readonly role: string;
  readonly content: string | null;
  readonly [field: string]: unknown;
}
const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
const TOOLS = [{ type: "function", function: { name: "weather" } }];
const OTHER = [{ type: "function", function: { name: "weather", description: "of today" } }];
const parse = (messages: readonly Message[]) => parsedRequest({ messages });
/** The part of a turn request that is used here. */
const requestOf = (messages: readonly Message[]) =>
  ({ messages, input: readInput(parse(messages)) }) as unknown as TurnRequest;
/** A request of the API before `tools`. */
const parseLegacy = (messages: readonly Message[]) => parsedRequest({ messages, functions: [{ name: "weather" }] });

/** Unnamed chats over conversations that the test plays. `known` is what the process of each has received and said. */
function createChats(maxLingering = 2) {
  const clock = new ManualClock();
  const known = new Map<string, Message[]>();
  /** The ids of the calls that a conversation waits for. */
  const calls = new Map<string, string>();
  let isFull = false;
  let submitted: { key: string; continues: boolean; response: ResponseStream } | undefined;
  const chats = new UnnamedChats({ maxLingering }, clock, {
    ownerOfCalls: (request) => {
      const { messages } = request as unknown as { messages: readonly Message[] };
      const id = messages.at(-1)?.tool_call_id;
      return [...calls].find(([, call]) => call === id)?.[0] ?? null;
    },
    submit: ({ key }, { continuesDialogue }) => {
      submitted = { key, continues: continuesDialogue, response: new ResponseStream() };
      if (isFull) submitted.response.fail(new RequestError("queue_full", "full"));
      return submitted.response;
    },
    remove: (key) => end(key),
  });

  function end(key: string): void {
    known.delete(key);
    calls.delete(key);
    chats.forget(key);
  }

  /** Sends a request. @returns its chat, and whether that knew the history */
  function send(messages: readonly Message[], mayLinger = true, read = parse) {
    chats.submit(read(messages) as ParsedRequest, requestOf(messages), mayLinger);
    const { key, continues, response } = submitted as NonNullable<typeof submitted>;
    const isResult = calls.delete(key);
    const before = known.get(key) ?? [];
    // A new process is given the whole history; one that runs gets only what is new.
    known.set(key, continues || isResult ? [...before, ...messages.slice(before.length)] : [...messages]);
    return {
      key,
      continues,
      isResult,
      response,
      known: () => known.get(key),
      answer: (text: string) => {
        response.push({ type: "text", text });
        response.push({ type: "finish" });
        response.close();
        known.get(key)?.push(assistant(text));
        if (!chats.keeps(key)) end(key);
      },
      call: (turn: string) => {
        const id = clientCallId(turn, "toolu_1");
        const one = { id, name: "weather", arguments: "{}" };
        response.push({ type: "calls", calls: [one] });
        response.close();
        calls.set(key, id);
        const tool_calls = [{ id, type: "function", function: { name: "weather", arguments: "{}" } }];
        const message = { role: "assistant", content: null, tool_calls };
        known.get(key)?.push(message);
        return message;
      },
    };
  }
  /** Sends a request that is refused, since too many wait. */
  function refuse(messages: readonly Message[]): ResponseStream {
    isFull = true;
    const response = chats.submit(parse(messages), requestOf(messages), true);
    isFull = false;
    return response;
  }
  return { clock, chats, known, send, refuse, end };
}

describe("a request", () => {
  const first = [user("hello")];
  const second = [...first, assistant("hi"), user("again")];

  test("finds the chat whose answer its history ends with", () => {
    const { send } = createChats();
    const one = send(first);
    one.answer("hi");
    const two = send(second);
    expect([two.key, two.continues]).toEqual([one.key, true]);
    two.answer("yes");
    expect(send([...second, assistant("yes"), user("third")]).key).toBe(one.key);
  });

  test("begins anew while the answer is not complete", () => {
    const { send } = createChats();
    const one = send(first);
    one.response.push({ type: "text", text: "hi" });
    expect(send(second).key).not.toBe(one.key);
  });

  test("begins anew when another request has continued the chat", () => {
    const { send } = createChats();
    const one = send(first);
    one.answer("hi");
    const two = send(second);
    const three = send(second);
    expect(two.key).toBe(one.key);
    expect([three.key === one.key, three.continues]).toEqual([false, false]);
  });

  test.each<[what: string, spoil: (one: ReturnType<ReturnType<typeof createChats>["send"]>) => void]>([
    ["failed", ({ response }) => response.fail(new Error("broken"))],
    ["was cut by the model's limit", ({ response }) => response.push({ type: "finish", reason: "length" })],
    ["did not reach its client", ({ response }) => response.disconnect()],
  ])("begins anew when the answer %s", (_what, spoil) => {
    const { send, chats, end } = createChats();
    const one = send(first);
    one.response.push({ type: "text", text: "hi" });
    spoil(one);
    one.response.close();
    expect(chats.keeps(one.key)).toBe(false);
    end(one.key);
    expect(send(second).key).not.toBe(one.key);
  });

  test("of another kind leaves no chat that lingers", () => {
    const { send } = createChats();
    const one = send(first, false);
    one.answer("hi");
    expect(send(second).key).not.toBe(one.key);
  });

  test("with the result of a call finds the chat that made it, although its history differs", () => {
    const { send } = createChats();
    const one = send(first);
    const call = one.call("turn 1");
    const other = send(first);
    other.call("turn 2");
    const result = { role: "tool", content: "rain", tool_call_id: (call.tool_calls[0] as { id: string }).id };
    const two = send([call, result]);
    expect(two.key).toBe(one.key);
    two.answer("It rains.");
    // Its process knows more than the request had.
    expect(send([call, result, assistant("It rains."), user("thanks")]).key).not.toBe(one.key);
  });

  test("with a result that its chat could not show whole begins anew, and the chat ends", () => {
    const { send, known } = createChats();
    for (const [content, isShown] of [
      ["x".repeat(500_000), true],
      ["x".repeat(500_001), false],
    ] as const) {
      const one = send(first);
      const call = one.call(`turn ${isShown}`);
      const tool_call_id = (call.tool_calls[0] as { id: string }).id;
      const two = send([...first, call, { role: "tool", content, tool_call_id }]);
      expect([two.key === one.key, known.has(one.key)]).toEqual([isShown, isShown]);
    }
  });

  test("that is refused leaves the chat that it belongs to as it was", () => {
    const { send, refuse, known } = createChats();
    const one = send(first);
    const call = one.call("turn 1");
    const result = { role: "tool", content: "rain", tool_call_id: (call.tool_calls[0] as { id: string }).id };
    refuse([...first, call, result]).disconnect();
    expect(known.has(one.key)).toBe(true);
    send([...first, call, result]).answer("It rains.");
    expect(send([...first, call, result, assistant("It rains."), user("thanks")]).key).toBe(one.key);
  });

  test("with the result of a call without an id finds the chat by its history, and no second one does", () => {
    const { send } = createChats();
    const one = send(first, true, parseLegacy);
    one.call("turn 1");
    const function_call = { name: "weather", arguments: "{ }" };
    const messages = [
      ...first,
      { role: "assistant", content: null, function_call },
      { role: "function", name: "weather", content: "rain" },
    ];
    expect(send([user("hi"), ...messages.slice(1)], true, parseLegacy).key).not.toBe(one.key);
    const two = send(messages, true, parseLegacy);
    const three = send(messages, true, parseLegacy);
    expect([two.key === one.key, three.key === one.key]).toEqual([true, false]);
    two.answer("It rains.");
    expect(send([...messages, assistant("It rains."), user("thanks")], true, parseLegacy).key).toBe(one.key);
  });

  test("continues a chat in which tools were called", () => {
    const { send } = createChats();
    const one = send(first);
    const call = one.call("turn 1");
    const result = { role: "tool", content: "rain", tool_call_id: (call.tool_calls[0] as { id: string }).id };
    send([...first, call, result]).answer("It rains.");
    const next = send([...first, call, result, assistant("It rains."), user("thanks")]);
    expect([next.key, next.continues]).toEqual([one.key, true]);
  });
});

describe("a chat", () => {
  test("lingers for five minutes", async () => {
    const { send, clock, known } = createChats();
    const one = send([user("hello")]);
    one.answer("hi");
    await clock.pass(299_999);
    expect(known.has(one.key)).toBe(true);
    await clock.pass(1);
    expect(known.has(one.key)).toBe(false);
    expect(clock.timers).toBe(0);
  });

  test("ends when more chats linger than may, the oldest first", () => {
    const { send, known, clock } = createChats(2);
    const keys = ["a", "b", "c"].map((text) => {
      const chat = send([user(text)]);
      chat.answer("hi");
      return chat.key;
    });
    expect(keys.map((key) => known.has(key))).toEqual([false, true, true]);
    expect(clock.timers).toBe(2);
  });

  test("ends with the client's connection", () => {
    const { send, known } = createChats();
    const one = send([user("hello")]);
    one.response.disconnect();
    expect(known.has(one.key)).toBe(false);
  });
});

describe("the process of a request is expected to be needed again", () => {
  const first = { messages: parse([user("hello")]).messages };
  const later = { messages: parse([user("hello"), assistant("hi"), user("again")]).messages };
  /** How many of so many first requests are expected to be continued. */
  const expected = ({ chats }: ReturnType<typeof createChats>, count: number) =>
    Array.from({ length: count }, () => chats.expectsNext(first)).filter(Boolean).length;

  test("seldom when no client continues a chat, and always when a request does", () => {
    const world = createChats();
    expect([expected(world, 8), expected(world, 64)]).toEqual([8, 2]);
    expect(world.chats.expectsNext(later)).toBe(true);
    world.send([user("hello"), assistant("hi"), user("again")]).answer("yes");
    expect(expected(world, 1)).toBe(0);
    world.send([user("hello"), assistant("hi"), user("again"), assistant("yes"), user("third")]);
    expect(expected(world, 64)).toBe(10);
  });

  test("after a result has found its call, too", () => {
    const world = createChats();
    expected(world, 32);
    const call = world.send([user("hello")]).call("turn 1");
    const result = { role: "tool", content: "rain", tool_call_id: (call.tool_calls[0] as { id: string }).id };
    expect(expected(world, 1)).toBe(0);
    world.send([user("hello"), call, result]);
    expect(expected(world, 1)).toBe(1);
  });

  test("never when none may linger", () => {
    const { chats } = createChats(0);
    expect([chats.expectsNext(first), chats.expectsNext(later)]).toEqual([false, false]);
  });
});

/** One step of a client: it sends a request, or an answer that is under way ends. Numbers choose among what there is. */
const step = fc.record({
  /** Which request is continued, counted back from the newest; null begins a chat. */
  continued: fc.option(fc.nat(7)),
  /** What becomes of the history that the client sends. */
  change: fc.constantFrom("none", "none", "none", "none", "answer", "message", "cut"),
  message: fc.constantFrom("a", "b"),
  options: fc.constantFrom(
    {},
    {},
    {},
    { model: "opus" },
    { reasoning_effort: "low" },
    { tools: TOOLS },
    { tools: OTHER },
  ),
  system: fc.constantFrom(null, null, "s"),
  /** The same request is sent again at once. */
  isRepeated: fc.boolean(),
  end: fc.constantFrom("x", "x", "x", "y", "open", "call", "call", "fail", "length", "disconnect", "exit"),
  /** Of an answer that was left open: how many steps it takes. */
  wait: fc.nat(3),
});

test("property: a request joins only a chat whose process has received exactly its history", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { send, known, chats, end } = createChats(3);
      /** The histories that clients have, with the options that they were answered with. */
      const past: { messages: Message[]; options: object }[] = [];
      /** Answers under way. */
      let open: { one: ReturnType<typeof send>; messages: Message[]; options: object; steps: number }[] = [];
      /** What a process was started with. It never changes. */
      const startedWith = new Map<string, string>();
      const settle = ({ one, messages, options }: Omit<(typeof open)[number], "steps">, how: string) => {
        if (how === "call") {
          const call = one.call(crypto.randomUUID());
          const tool_call_id = (call.tool_calls[0] as { id: string }).id;
          past.push({ messages: [...messages, call, { role: "tool", content: "rain", tool_call_id }], options });
          return;
        }
        past.push({ messages: [...messages, assistant(how === "y" ? "y" : "x")], options });
        if (how === "x" || how === "y") return one.answer(how);
        one.response.push({ type: "text", text: "x" });
        if (how === "fail") one.response.fail(new Error("broken"));
        else if (how === "disconnect") one.response.disconnect();
        else if (how === "length") one.response.push({ type: "finish", reason: "length" });
        one.response.close();
        if (!known.has(one.key)) return;
        if (how !== "exit") expect(chats.keeps(one.key)).toBe(false);
        end(one.key);
      };
      for (const { continued, change, message, options: own, system, isRepeated, end: how, wait } of steps) {
        const found = continued === null ? undefined : past.at(-1 - continued);
        const before = [...(found?.messages ?? (system === null ? [] : [{ role: "system", content: system }]))];
        const options = found?.options ?? own;
        const answered = before.findLastIndex(({ role }) => role === "assistant");
        if (answered >= 0 && change === "answer") before[answered] = { ...before[answered], content: "z" } as Message;
        if (before.length > 0 && change === "message") before[0] = user("z");
        if (change === "cut") before.shift();
        const isResult = before.at(-1)?.role === "tool";
        const messages = isResult ? before : [...before, user(message)];
        // Some clients change their options in the middle of a chat.
        const used = change === "none" && message === "b" ? own : options;
        for (let copy = 0; copy < (isRepeated ? 2 : 1); copy += 1) {
          const one = send(messages, true, () => parsedRequest({ messages, ...used }));
          const isBusy = open.some(({ one: { key } }) => key === one.key);
          const signature = JSON.stringify(used);
          // The heart of it: what the process has seen is what the request says, and no one else's turn runs in it.
          if (one.continues) {
            expect(one.known()).toEqual(messages);
            expect(signature).toBe(startedWith.get(one.key) ?? "");
            expect(isBusy).toBe(false);
          } else if (!one.isResult) {
            expect(startedWith.has(one.key)).toBe(false);
            startedWith.set(one.key, signature);
          }
          if (how === "open" || copy === 1) open.push({ one, messages, options: used, steps: wait });
          else settle({ one, messages, options: used }, how);
        }
        const ending = open.filter(({ steps: left }) => left === 0);
        open = open.filter(({ steps: left }) => left > 0).map((one) => ({ ...one, steps: one.steps - 1 }));
        for (const one of ending) settle(one, message === "a" ? "x" : "disconnect");
      }
    }),
    { numRuns: 1_000 },
  );
});
