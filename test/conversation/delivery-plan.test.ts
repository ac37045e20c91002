/** What a request delivers to Claude, given what was delivered before. */
import { describe, expect, test } from "bun:test";
import type { ChatMessage } from "../../src/api/openai-chat/request.ts";
import {
  type DeliveryRequest,
  deliveredExchanges,
  findAnsweredTurn,
  isReset,
  planDelivery,
} from "../../src/conversation/delivery-plan.ts";
import { answerFingerprint, messageFingerprint } from "../../src/intake/fingerprint.ts";
import { readInput } from "../../src/intake/input.ts";
import type { DeliveredTurn } from "../../src/turn/delivered-turn.ts";
import { parsedRequest } from "../support/parsed-request.ts";

/** A request with these messages. `u:` marks a user message, `a:` an assistant message, `t:` a tool result. */
function request(messages: string[], more: Partial<DeliveryRequest> = {}): DeliveryRequest {
  const parsed = messages.map((one): ChatMessage => {
    const content = one.slice(2);
    if (one.startsWith("t:")) return { role: "tool", tool_call_id: "c", content };
    return { role: one.startsWith("u:") ? "user" : "assistant", content };
  });
  const input = readInput(parsedRequest({ messages: parsed }));
  return { input, traceId: null, volatile: "", fromOpenClaw: false, sendsHistory: false, ...more };
}
/** A turn that delivered these messages. @param more `answer` is the answer as the client has it, if that is known */
const turn = (users: string[], more: Partial<DeliveredTurn> & { answer?: string } = {}): DeliveredTurn => {
  const { answer, ...rest } = more;
  return {
    turn: users.join(),
    traceId: null,
    dropped: 0,
    history: [],
    exchanges: [
      {
        users: users.map((one) => messageFingerprint(one)),
        answer: answer === undefined ? null : answerFingerprint(answer),
      },
    ],
    hadHistory: null,
    volatile: null,
    answered: true,
    truncation: null,
    hasFailed: false,
    ...rest,
  };
};
const unanswered = { answered: false };
const plan = (before: DeliveredTurn[], asked: DeliveryRequest, isFresh = false, sent: Record<string, string> = {}) =>
  planDelivery(before, asked, {
    isFresh,
    delivered: deliveredExchanges(before),
    isTruncated: false,
    sentText: (id) => sent[id] ?? null,
  });
/** Why the conversation differs from what Claude knows, and what is delivered because of it. */
const pastOf = ({ past }: ReturnType<typeof plan>) =>
  past && [past.why, "history" in past ? past.history.map((one) => one.text) : past.count];

describe("a request delivers", () => {
  const cases: [
    what: string,
    before: DeliveredTurn[],
    messages: string[],
    delivered: string[],
    past: null | [why: string, what: unknown],
  ][] = [
    ["the first message", [], ["u:one"], ["one"], null],
    ["a second message, from a client that sends no history", [turn(["one"])], ["u:two"], ["two"], null],
    [
      "only the second message, from a client that sends the history",
      [turn(["one"])],
      ["u:one", "a:1", "u:two"],
      ["two"],
      null,
    ],
    ["the same message again, after its answer", [turn(["one"])], ["u:one", "a:1", "u:one"], ["one"], null],
    ["nothing, when Claude has the message and has not answered it", [turn(["one"], unanswered)], ["u:one"], [], null],
    [
      "the answer of another model to a message that Claude could not answer",
      [turn(["one"]), turn(["two"], { answered: false, hasFailed: true })],
      ["u:one", "a:1", "u:two", "a:else", "u:three"],
      ["three"],
      ["changed", ["two", "else"]],
    ],
    [
      "nothing about the answer that Claude gave when it was asked again",
      [turn(["one"]), turn(["two"], { answered: false, hasFailed: true }), turn([])],
      ["u:one", "a:1", "u:two", "a:2", "u:three"],
      ["three"],
      null,
    ],
    [
      "nothing about an unanswered message of which the client has no answer either",
      [turn(["one"]), turn(["two"], { answered: false, hasFailed: true })],
      ["u:one", "a:1", "u:two", "a:", "u:three"],
      ["three"],
      null,
    ],
    [
      "nothing about the part of an answer that was interrupted",
      [turn(["one"]), turn(["two"], { answered: false })],
      ["u:one", "a:1", "u:two", "a:part", "u:three"],
      ["three"],
      null,
    ],
    ["only the message after an unanswered one", [turn(["one"], unanswered)], ["u:one", "u:two"], ["two"], null],
    ["the message that replaces an unanswered one", [turn(["one"], unanswered)], ["u:two"], ["two"], null],
    [
      "only the message after one whose answer the client did not receive",
      [turn(["one"])],
      ["u:one", "u:two"],
      ["two"],
      null,
    ],
    [
      "a message that repeats the last one, and the one after it",
      [turn(["yes"])],
      ["u:yes", "a:1", "u:yes", "u:two"],
      ["yes", "two"],
      null,
    ],
    [
      "only the message after two unanswered ones",
      [turn(["one"], unanswered), turn(["two"], unanswered)],
      ["u:one", "u:two", "u:three"],
      ["three"],
      null,
    ],
    [
      "only the new message, when the client has trimmed the beginning of the history",
      [turn(["one"]), turn(["two"])],
      ["u:two", "a:2", "u:three"],
      ["three"],
      null,
    ],
    [
      "exchanges that the client had with another model",
      [turn(["one"])],
      ["u:one", "a:1", "u:other", "a:x", "u:two"],
      ["two"],
      ["changed", ["other", "x"]],
    ],
    [
      "the conversation from an edited message on",
      [turn(["one"]), turn(["two"])],
      ["u:one", "a:1", "u:TWO", "a:2", "u:three"],
      ["three"],
      ["changed", ["TWO", "2"]],
    ],
    [
      "the whole conversation, when its first message was edited",
      [turn(["one"])],
      ["u:ONE", "a:1", "u:two"],
      ["two"],
      ["changed", ["ONE", "1"]],
    ],
    [
      "a message again, when the client removed its answer",
      [turn(["one"]), turn(["two"])],
      ["u:one", "a:1", "u:two"],
      ["two"],
      ["removed", 1],
    ],
    [
      "the fact that the client removed two exchanges",
      [turn(["one"]), turn(["two"]), turn(["three"])],
      ["u:one", "a:1", "u:four"],
      ["four"],
      ["removed", 2],
    ],
    [
      "nothing about a stopped turn that the client dropped",
      [turn(["one"]), turn(["two"], unanswered)],
      ["u:one", "a:1", "u:three"],
      ["three"],
      null,
    ],
  ];
  test.each(cases)("%s", (_what, before, messages, delivered, past) => {
    const delivery = plan(before, request(messages), before.length === 0);
    expect(delivery.messages.map(({ text }) => text)).toEqual(delivered);
    expect(pastOf(delivery)).toEqual(past as ReturnType<typeof pastOf>);
  });

  test("no history that is older than the remembered turns", () => {
    const asked = request(["u:one", "a:1", "u:two", "a:2", "u:three"]);
    const before = [turn(["two"])];
    const delivered = deliveredExchanges(before);
    const options = { isFresh: false, delivered, isTruncated: true, sentText: () => null };
    expect(planDelivery(before, asked, options).past).toBeNull();
  });

  test("the whole history to a new Claude session, once", () => {
    const first = plan([], request(["u:one", "a:1", "u:two"]), true);
    expect(pastOf(first)).toEqual(["new", ["one", "1"]]);
    const before = [turn(["two"], { history: first.history })];
    expect(plan(before, request(["u:one", "a:1", "u:two", "a:2", "u:three"])).past).toBeNull();
  });

  test("only the new message to a session whose deliveries were not recorded", () => {
    const delivery = plan([], request(["u:one", "a:1", "u:two"]));
    expect(delivery.past).toBeNull();
    expect(delivery.history.map(({ users }) => users)).toEqual([[messageFingerprint("one")]]);
  });

  const lost = { answered: false, truncation: "lost" } as const;
  const truncated: [what: string, before: DeliveredTurn[], messages: string[], isFresh: boolean, isTold: boolean][] = [
    ["is reported when the last answer was lost", [turn(["one"], lost)], ["u:two"], false, true],
    ["is reported when the client repeats the message", [turn(["one"], lost)], ["u:one"], false, true],
    [
      "is reported when the last answer ended with an error",
      [turn(["one"], { ...unanswered, truncation: "failed" })],
      ["u:one", "a:1", "u:two"],
      false,
      true,
    ],
    ["is not reported when there was an answer since", [turn(["one"], lost), turn(["two"])], ["u:three"], false, false],
    ["is not reported when the user stopped the last turn", [turn(["one"], unanswered)], ["u:two"], false, false],
    ["is not reported to a new Claude session", [turn(["one"], lost)], ["u:two"], true, false],
    [
      "is not reported when tool results show that it arrived",
      [turn(["one"], lost)],
      ["u:one", "a:1", "t:done"],
      false,
      false,
    ],
  ];
  test.each(truncated)("a truncated answer %s", (_what, before, messages, isFresh, isTold) => {
    expect(plan(before, request(messages), isFresh).isLastAnswerTruncated).toBe(isTold);
  });

  test("nothing about messages that OpenClaw dropped from its history", () => {
    const before = [turn(["one"]), turn(["heartbeat"])];
    expect(plan(before, request(["u:one", "a:1", "u:two"], { fromOpenClaw: true })).past).toBeNull();
  });

  const openclaw = { fromOpenClaw: true };
  const failed = turn(["two"], { ...unanswered, hasFailed: true });
  test.each<[what: string, before: DeliveredTurn[], messages: string[], past: unknown]>([
    ["the answer that OpenClaw got from another model", [turn(["one"]), failed], [], ["changed", ["else"]]],
    [
      "all that OpenClaw got from another model, although Claude has never received the later messages",
      [turn(["one"]), failed],
      ["u:later", "a:again"],
      ["changed", ["else", "later", "again"]],
    ],
    [
      "another model's answer once",
      [turn(["one"]), failed, turn(["x"], { history: [{ users: [], answer: null }], ...unanswered, hasFailed: true })],
      ["u:x", "a:more"],
      ["changed", ["more"]],
    ],
    [
      "another model's answer not after Claude has answered",
      [turn(["one"]), failed, turn(["x"])],
      ["u:x", "a:3"],
      null,
    ],
  ])("%s", (_what, before, more, past) => {
    const messages = ["u:one", "a:1", "u:two", "a:else", ...more, "u:now"];
    expect(pastOf(plan(before, request(messages, openclaw)))).toEqual(past as never);
  });

  test("no part of an answer that the user has interrupted", () => {
    const asked = request(["u:one", "a:1", "u:two", "a:part", "u:now"], openclaw);
    expect(plan([turn(["one"]), turn(["two"], unanswered)], asked).past).toBeNull();
  });

  test("no error that OpenClaw got as text", () => {
    const asked = request(["u:one", "a:1", "u:two", "a:[synthesis: It failed.]", "u:now"], openclaw);
    expect(plan([turn(["one"]), failed], asked).past).toBeNull();
  });

  test("the volatile part of the system prompt when it changes", () => {
    const volatile = (before: DeliveredTurn[], text: string) =>
      plan(before, request(["u:x"], { volatile: text })).volatile;
    expect(volatile([turn(["one"])], "")).toBeNull();
    expect(volatile([turn(["one"])], "monday")).toEqual({ text: "monday", fingerprint: messageFingerprint("monday") });
    const known = [turn(["one"], { volatile: messageFingerprint("monday") }), turn(["two"])];
    expect(volatile(known, "monday")).toBeNull();
    expect(volatile(known, "tuesday")?.text).toBe("tuesday");
  });
});

/** Delivers a client's requests one after the other, each with the answer that it received. @returns what each delivered */
function conversation(...rounds: [messages: string[], answer: string | null][]) {
  const turns: DeliveredTurn[] = [];
  const sent: Record<string, string> = {};
  return rounds.map(([messages, answer], at) => {
    const asked = request(messages);
    const delivery = plan(turns, asked, at === 0, sent);
    for (const [index, one] of turns.entries()) {
      const exchanges = one.exchanges.map((exchange) => ({
        ...exchange,
        users: delivery.rewritten.get(exchange) ?? exchange.users,
      }));
      turns[index] = { ...one, exchanges };
    }
    sent[`${at}`] = delivery.messages.map(({ text }) => text).join("\n\n");
    turns.push({
      turn: `${at}`,
      traceId: null,
      dropped: delivery.dropped,
      history: delivery.history,
      exchanges: [{ users: delivery.users, answer: answer === null ? null : answerFingerprint(answer) }],
      hadHistory: asked.input.hasHistory,
      volatile: null,
      answered: answer !== null,
      truncation: null,
      hasFailed: false,
    });
    return { past: pastOf(delivery), sent: delivery.messages.map(({ text }) => text) };
  });
}
/** Three exchanges, as a client builds them up. */
const three: [string[], string][] = [
  [["u:one"], "1"],
  [["u:one", "a:1", "u:two"], "2"],
  [["u:one", "a:1", "u:two", "a:2", "u:three"], "3"],
];
const all = ["u:one", "a:1", "u:two", "a:2", "u:three", "a:3"];

describe("a history", () => {
  const changed: [what: string, then: string[], past: [why: string, what: unknown] | null][] = [
    ["cut back to an edited first message", ["u:ONE"], ["removed", 3]],
    ["cut back to the first message", ["u:one"], ["removed", 3]],
    ["cut back to another first message", ["u:else"], ["removed", 3]],
    ["without an exchange in the middle", ["u:one", "a:1", "u:three", "a:3", "u:four"], ["changed", ["three", "3"]]],
    ["without the last exchange", ["u:one", "a:1", "u:two", "a:2", "u:four"], ["removed", 1]],
    ["without the last two exchanges", ["u:one", "a:1", "u:four"], ["removed", 2]],
    ["trimmed by its first exchange", ["u:two", "a:2", "u:three", "a:3", "u:four"], null],
    ["with another last answer", [...all.slice(0, 5), "a:THREE", "u:four"], ["changed", ["three", "THREE"]]],
    [
      "with another answer in the middle",
      ["u:one", "a:1", "u:two", "a:TWO", "u:three", "a:3", "u:four"],
      ["changed", ["two", "TWO", "three", "3"]],
    ],
    [
      "with another first answer",
      ["u:one", "a:ONE", "u:two", "a:2", "u:three", "a:3", "u:four"],
      ["changed", ["one", "ONE", "two", "2", "three", "3"]],
    ],
    [
      "with another message in the middle",
      ["u:one", "a:1", "u:TWO", "a:2", "u:three", "a:3", "u:four"],
      ["changed", ["TWO", "2", "three", "3"]],
    ],
    [
      "with one more exchange in the middle",
      ["u:one", "a:1", "u:more", "a:m", "u:two", "a:2", "u:three", "a:3", "u:four"],
      ["changed", ["more", "m", "two", "2", "three", "3"]],
    ],
    ["with one more exchange at the end", [...all, "u:more", "a:m", "u:four"], ["changed", ["more", "m"]]],
    [
      "with one more exchange at the beginning",
      ["u:zero", "a:0", ...all, "u:four"],
      ["changed", ["zero", "0", "one", "1", "two", "2", "three", "3"]],
    ],
    ["trimmed and then edited", ["u:two", "a:2", "u:THREE", "a:3+", "u:four"], ["changed", ["THREE", "3+"]]],
    ["of another conversation", ["u:x", "a:y", "u:four"], ["changed", ["x", "y"]]],
    ["with other white space in an answer", [...all.slice(0, 5), "a: 3\n\n", "u:four"], null],
    ["with its reasoning shown in an answer", [...all.slice(0, 5), "a:<think>Bash\n</think>\n3", "u:four"], null],
    ["that is unchanged", [...all, "u:four"], null],
  ];
  test.each(changed)("%s is compared once, and its change is delivered once", (_what, then, past) => {
    const [, , , fourth, fifth] = conversation(...three, [then, "4"], [[...then, "a:4", "u:five"], "5"]);
    expect([fourth?.past as unknown, fourth?.sent]).toEqual([past, [then.at(-1)?.slice(2)]]);
    expect(fifth).toEqual({ past: null, sent: ["five"] });
  });

  test("is delivered again each time the client switches between its versions", () => {
    const one = ["u:one", "a:1"];
    const rounds = conversation(
      [["u:one"], "1"],
      [[...one, "u:two"], "2"],
      // The second message is edited and answered again.
      [[...one, "u:TWO"], "2+"],
      // Back to the first version, then the second, then the first again.
      [[...one, "u:two", "a:2", "u:three"], "3"],
      [[...one, "u:TWO", "a:2+", "u:four"], "4"],
      [[...one, "u:two", "a:2", "u:three", "a:3", "u:five"], "5"],
    );
    expect(rounds.map(({ past }) => past)).toEqual([
      null,
      null,
      ["removed", 1],
      ["changed", ["two", "2"]],
      ["changed", ["TWO", "2+"]],
      ["changed", ["two", "2", "three", "3"]],
    ]);
  });

  const go = "u:continue";
  const removed: [what: string, history: string[], past: unknown][] = [
    ["the first", ["u:one", "a:1", go, "a:3"], ["changed", ["continue", "3"]]],
    ["the second", ["u:one", "a:1", go, "a:2"], ["removed", 1]],
    ["neither", ["u:one", "a:1", go, "a:2", go, "a:3"], null],
    ["both", ["u:one", "a:1"], ["removed", 2]],
  ];
  test.each(removed)("with two exchanges of the same words, of which the client removed %s", (_what, history, past) => {
    const rounds = conversation(
      [["u:one"], "1"],
      [["u:one", "a:1", go], "2"],
      [["u:one", "a:1", go, "a:2", go], "3"],
      [[...history, "u:four"], "4"],
    );
    expect(rounds[3]?.past as unknown).toEqual(past);
  });

  test("that the client does not send has not changed", () => {
    const rounds = conversation([["u:one"], "1"], [["u:two"], "2"], [["u:two"], "2"], [["u:three"], "3"]);
    expect(rounds.map(({ past, sent }) => [past, sent])).toEqual([
      [null, ["one"]],
      [null, ["two"]],
      [null, ["two"]],
      [null, ["three"]],
    ]);
  });

  test("may keep, cut or drop an answer that the user stopped", () => {
    for (const kept of [["u:two", "a:half"], ["u:two", "a:"], [], ["u:two"]]) {
      const rounds = conversation(
        [["u:one"], "1"],
        [["u:one", "a:1", "u:two"], null],
        [["u:one", "a:1", ...kept, "u:three"], "3"],
        [["u:one", "a:1", ...kept, "u:three", "a:3", "u:four"], "4"],
      );
      expect(rounds.slice(2)).toEqual([
        { past: null, sent: ["three"] },
        { past: null, sent: ["four"] },
      ]);
    }
  });

  test("with tool results that are sent again continues the exchange of their calls", () => {
    const calls = ["u:one", "a:", "t:done"];
    const rounds = conversation(
      [["u:one"], "1"],
      [calls, "1+"],
      [[...calls, "a:1+", "u:two"], "2"],
      [[...calls, "a:1+", "u:two", "a:2", "u:three"], "3"],
    );
    expect(rounds.map(({ past, sent }) => [past, sent])).toEqual([
      [null, ["one"]],
      [null, ["done"]],
      [null, ["two"]],
      [null, ["three"]],
    ]);
  });

  test("without an answer that the client did not receive has not changed", () => {
    const rounds = conversation(
      [["u:one"], "1"],
      [["u:one", "u:two"], "2"],
      [["u:one", "u:two", "a:2", "u:three"], "3"],
    );
    expect(rounds).toEqual([
      { past: null, sent: ["one"] },
      { past: null, sent: ["two"] },
      { past: null, sent: ["three"] },
    ]);
  });
});

describe("a request that continues a turn", () => {
  const turns = [turn(["one"]), turn(["two"]), turn(["three"])];
  const after = (previousTurn: string, ...messages: string[]) => plan(turns, request(messages, { previousTurn }));

  test("of the newest answer delivers only its own messages", () => {
    expect(after("three", "u:next")).toMatchObject({ past: null, dropped: 0, history: [] });
  });

  test("of an older answer tells how many messages no longer count", () => {
    const { past, dropped, messages } = after("one", "u:next");

    expect([past, dropped, messages.length]).toEqual([{ why: "removed", count: 2 }, 2, 1]);
  });

  test("delivers what the client adds before its message", () => {
    const added = ["u:elsewhere", "a:there", "u:next"];

    expect(after("three", ...added)).toMatchObject({ past: { why: "changed", since: "unknown" }, dropped: 0 });
    const older = after("two", ...added);
    expect(older).toMatchObject({ past: { why: "changed", since: { why: "removed", count: 1 } }, dropped: 1 });
    expect([pastOf(older), older.history.length]).toEqual([["changed", ["elsewhere", "there"]], 1]);
  });
});

describe("a message that the client's program rewrites", () => {
  const wrapped = (query: string) =>
    `### Task:\nAnswer from the notes.\n\n<notes>\nnote 1\nnote 2\n</notes>\n\n<query>${query}</query>`;
  const rewritten: [what: string, sent: (text: string) => string[], kept: (text: string) => string[]][] = [
    ["by wrapping it in text that it looked up", (text) => [`u:${wrapped(text)}`], (text) => [`u:${text}`]],
    ["by sending the time in front of it", (text) => [`u:[2026-11-26 10:00] ${text}`], (text) => [`u:${text}`]],
    ["by keeping the time in front of it", (text) => [`u:${text}`], (text) => [`u:2026-11-26T10:00:00Z ${text}`]],
    ["by keeping other line ends", (text) => [`u:${text}\r\nmore`], (text) => [`u:${text}\nmore`]],
    ["by decomposing its accents", (text) => [`u:${text} \u00e9`], (text) => [`u:${text} e\u0301`]],
    ["by sending a note after it", (text) => [`u:${text}\n\n[Be brief.]`], (text) => [`u:${text}`]],
    ["by sending a note in front of it", (text) => [`u:Be brief. ${text}`], (text) => [`u:${text}`]],
    ["by sending a note as a second message", (text) => [`u:${text}`, "u:[Be brief.]"], (text) => [`u:${text}`]],
  ];
  test.each(rewritten)("%s was not edited by the user", (_what, sent, kept) => {
    const textsOf = (text: string) => sent(text).map((one) => one.slice(2));
    const rounds = conversation(
      [sent("one"), "1"],
      [[...kept("one"), "a:1", ...sent("two")], "2"],
      [[...kept("one"), "a:1", ...kept("two"), "a:2", ...sent("two")], "3"],
      [[...kept("one"), "a:1", ...kept("two"), "a:2", ...kept("two"), "a:3", ...sent("four")], "4"],
    );
    expect(rounds).toEqual([
      { past: null, sent: textsOf("one") },
      { past: null, sent: textsOf("two") },
      { past: null, sent: textsOf("two") },
      { past: null, sent: textsOf("four") },
    ]);
  });

  test("was edited by the user when its answer differs, too", () => {
    const rounds = conversation([[`u:${wrapped("one")}`], "1"], [["u:one", "a:1+", "u:two"], "2"]);
    expect(rounds[1]?.past).toEqual(["changed", ["one", "1+"]]);
  });

  test("was edited by the user when its text was never sent", () => {
    const rounds = conversation([[`u:${wrapped("one")}`], "1"], [["u:other", "a:1", "u:two"], "2"]);
    expect(rounds[1]?.past).toEqual(["changed", ["other", "1"]]);
  });
});

describe("the answer of an earlier turn", () => {
  const before = [
    turn(["one"], { traceId: "t1" }),
    turn(["two"], { traceId: "t2", ...unanswered }),
    turn(["three"], { traceId: "t3", ...unanswered, truncation: "lost" }),
    turn(["four"], { traceId: "t4", ...unanswered, truncation: "failed" }),
  ];
  const cases: [what: string, messages: string[], traceId: string | null, answer: string | null][] = [
    ["is found for a retry of the same run", ["u:one"], "t1", "one"],
    ["is not found for another run", ["u:one"], "t9", null],
    ["may exist when the server was killed during it", ["u:three"], "t3", "three"],
    ["is not found when an error ended it", ["u:four"], "t4", null],
    ["is not found for a request without a trace id", ["u:one"], null, null],
    ["is not found for another message", ["u:other"], "t1", null],
    ["is not found for more messages", ["u:one", "u:other"], "t1", null],
    ["is not found for a request with tool results", ["u:one", "a:1", "t:done"], "t1", null],
    ["is not found when Claude did not answer", ["u:two"], "t2", null],
  ];
  test.each(cases)("%s", (_what, messages, traceId, answer) => {
    expect(findAnsweredTurn(before, request(messages, { traceId }))).toBe(answer);
  });
});

describe("an OpenClaw request is a reset", () => {
  const openclaw = { fromOpenClaw: true };
  const one = [turn(["one"])];
  const cases: [
    what: string,
    before: DeliveredTurn[],
    asked: DeliveryRequest,
    before: number | null,
    now: number | null,
    isReset: boolean,
  ][] = [
    ["when it has only new messages", one, request(["u:two"], openclaw), null, null, true],
    ["when the session's generation is higher", one, request(["u:one"], openclaw), 1, 2, true],
    ["not when the generation is the same", one, request(["u:two"], openclaw), 1, 1, false],
    ["not when it has a history", one, request(["u:one", "a:1", "u:two"], openclaw), 1, 2, false],
    ["not when another client sent it", one, request(["u:two"]), null, null, false],
    ["not before Claude has answered", [turn(["one"], unanswered)], request(["u:two"], openclaw), null, null, false],
    ["not when it repeats a message", one, request(["u:one"], openclaw), null, null, false],
  ];
  test.each(cases)("%s", (_what, before, asked, from, to, expected) => {
    expect(isReset(before, asked, { before: from, now: to })).toBe(expected);
  });
});
