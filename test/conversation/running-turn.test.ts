/** Which requests join a turn that waits for its client, and what the others do to it. */
import { beforeEach, describe, expect, test } from "bun:test";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { RunningTurn } from "../../src/conversation/running-turn.ts";
import type { QueuedTurn } from "../../src/conversation/turn-queue.ts";
import { clientCallId } from "../../src/core/tools.ts";
import type { Identity } from "../../src/intake/identity.ts";
import { readTurnRequest, type TurnRequest } from "../../src/intake/turn-request.ts";
import type { PermissionBroker } from "../../src/permissions/broker.ts";
import type { ChatPrompt } from "../../src/permissions/chat-answers.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";
import type { TurnRunner } from "../../src/turn/runner.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const config = { ...defaults(pathsFor("/nowhere")), workspace: "/tmp", allowedRoots: ["/tmp"] };
const identity: Identity = { key: "user:ann", source: "user", agent: null, chat: null, affinity: null };
const user = (content: string) => ({ role: "user", content });
const TURN = "turn";
const clientId = clientCallId(TURN, "a");
const call = {
  role: "assistant",
  content: "",
  tool_calls: [{ id: clientId, type: "function", function: { name: "weather", arguments: "{}" } }],
};
const result = (content: string, tool_call_id = clientId) => ({ role: "tool", tool_call_id, content });

function read(messages: object[], sender = "ann"): TurnRequest {
  const headers = new Headers({ "x-openclaw-sender-id": sender });
  return readTurnRequest(parsedRequest({ messages }, headers), identity, config);
}

/** A turn request with a response of its own. */
const queued = (...messages: object[]): QueuedTurn => ({ request: read(messages), response: new ResponseStream() });

/** A runner that records what is done to it. */
class FakeRunner {
  readonly id = TURN;
  awaitedCalls: readonly string[] | null = null;
  readonly actions: unknown[][] = [];
  #note =
    (name: string) =>
    (...args: unknown[]) =>
      void this.actions.push([name, ...args]);
  resume = this.#note("resume");
  continueWith = this.#note("continueWith");
  repeat = this.#note("repeat");
  abandon = this.#note("abandon");
}

let runner: FakeRunner;
let chatPrompt: ChatPrompt | null;
let verdicts: { id: string; behavior: string; way: string }[];
let offer: PromiseWithResolvers<void>;
let late: QueuedTurn[];
let turn: RunningTurn;
beforeEach(() => {
  runner = new FakeRunner();
  chatPrompt = null;
  verdicts = [];
  offer = Promise.withResolvers();
  late = [];
  turn = new RunningTurn({
    runner: runner as unknown as TurnRunner,
    tools: { offer: () => offer.promise },
    request: read([user("What is the weather?")]),
    prompts: {
      get chatPrompt() {
        return chatPrompt;
      },
      closeChatPrompt: () => {
        chatPrompt = null;
      },
    },
    permissions: {
      answer: ((id, { behavior, way }) => {
        verdicts.push({ id, behavior, way });
        return true;
      }) as PermissionBroker["answer"],
    },
    saveFile: () => "/saved",
    onLate: (one) => void late.push(one),
  });
});

/** A result as Claude receives it. */
const resultOf = (id: string, text: string) => new Map([[id, { content: [{ type: "text", text }], isError: false }]]);
const names = () => runner.actions.map(([name]) => name);

describe("a turn that is not parked", () => {
  test("lets every request queue", () => {
    const next = queued(user("What is the weather?"), call, result("sunny"));
    expect(turn.awaits(next.request)).toBe(false);
    expect(turn.join(next)).toBe(next);
    expect(runner.actions).toEqual([]);
  });
});

describe("a turn that is parked on a tool call", () => {
  const question = user("What is the weather?");
  beforeEach(() => {
    runner.awaitedCalls = ["a"];
  });

  test("resumes with the results once Claude has the client's tools", async () => {
    const next = queued(question, call, result("sunny"));
    expect(turn.awaits(next.request)).toBe(true);
    expect(turn.join(next)).toBeNull();
    expect(next.response.processOrigin).toBe("warm");
    expect(runner.actions).toEqual([]);
    offer.resolve();
    await Bun.sleep(0);
    expect(runner.actions).toEqual([["resume", next.response, resultOf("a", "sunny")]]);
  });

  test("awaits no further results while results are on their way", () => {
    turn.join(queued(question, call, result("sunny")));
    const next = queued(question, call, result("rainy"));
    expect(turn.awaits(next.request)).toBe(false);
    expect(turn.join(next)).toBe(next);
  });

  test("hands back results that come when the turn has ended", async () => {
    const next = queued(question, call, result("sunny"));
    turn.join(next);
    runner.awaitedCalls = null;
    offer.resolve();
    await Bun.sleep(0);
    expect(late).toEqual([next]);
    expect(runner.actions).toEqual([]);
  });

  test("ends when the user sends another message, which queues", () => {
    const next = queued(user("Never mind."));
    expect(turn.awaits(next.request)).toBe(false);
    expect(turn.join(next)?.request.input.messages).toEqual(next.request.input.messages);
    expect(names()).toEqual(["abandon"]);
  });

  test("takes the results of a request with another message, and queues only the message", () => {
    const rest = turn.join(queued(question, call, result("sunny"), user("And tomorrow?")));
    expect(runner.actions).toEqual([["abandon", resultOf("a", "sunny"), expect.any(String)]]);
    expect(rest?.request.input.messages.map(({ role }) => role)).toEqual(["user"]);
  });

  test("repeats its answer to a retry of the last request", () => {
    const retry = queued(question);
    expect(turn.awaits(retry.request)).toBe(true);
    expect(turn.join(retry)).toBeNull();
    expect(runner.actions).toEqual([["repeat", retry.response]]);
  });

  test("repeats its answer to a retry of the results that it resumed with", async () => {
    const first = queued(question, call, result("sunny"));
    turn.join(first);
    offer.resolve();
    await Bun.sleep(0);
    runner.awaitedCalls = ["b"];
    const retry = queued(question, call, result("sunny"));
    expect(turn.join(retry)).toBeNull();
    expect(names()).toEqual(["resume", "repeat"]);
  });
});

describe("a turn that is parked on a permission prompt", () => {
  beforeEach(() => {
    runner.awaitedCalls = [];
    const prompt = { session: "user:ann", turn: "t", tool: "Bash", input: {}, sender: "ann" };
    chatPrompt = { pending: { ...prompt, id: "k7m2", description: "Bash: git push", askedAt: 0 }, isDirect: true };
  });

  test.each([
    ["yes", "allow"],
    ["no", "deny"],
  ])("continues with the answer %p as the verdict %p", (text, behavior) => {
    const next = queued(user(text));
    expect(turn.awaits(next.request)).toBe(true);
    expect(turn.join(next)).toBeNull();
    expect(runner.actions).toEqual([["continueWith", next.response, next.request.input.newFingerprints]]);
    expect(verdicts).toEqual([{ id: "k7m2", behavior, way: "chat" }]);
    expect(chatPrompt).toBeNull();
  });

  test("is denied and ends when the user sends another message, which queues", () => {
    const next = queued(user("What else could you do?"));
    expect(turn.awaits(next.request)).toBe(false);
    expect(turn.join(next)).toBe(next);
    expect(names()).toEqual(["abandon"]);
    expect(verdicts).toEqual([{ id: "k7m2", behavior: "deny", way: "spoke" }]);
  });

  test("repeats the prompt to a retry of the last request", () => {
    expect(turn.join(queued(user("What is the weather?")))).toBeNull();
    expect(names()).toEqual(["repeat"]);
    expect(chatPrompt).not.toBeNull();
  });
});
