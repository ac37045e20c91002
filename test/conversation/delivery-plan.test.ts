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

/** `u:` the user's, `a:` the assistant's, `t:` a tool's result. */
function question(messages: string[], more: Partial<DeliveryRequest> = {}): DeliveryRequest {
  const parsed = messages.map((one): ChatMessage => {
    const content = one.slice(2);
    if (one.startsWith("t:")) return { role: "tool", tool_call_id: "c", content };
    return { role: one.startsWith("u:") ? "user" : "assistant", content };
  });
  const input = readInput(parsedRequest({ messages: parsed }));
  return { input, traceId: null, volatile: "", fromOpenClaw: false, sendsHistory: false, ...more };
}
/** A turn that brought these messages; `answer` is what the client has of it, if that is known. */
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
/** Why the conversation differs from what Claude knows, and what of it is told. */
const pastOf = ({ past }: ReturnType<typeof plan>) =>
  past && [past.why, "history" in past ? past.history.map((one) => one.text) : past.count];

describe("what is told", () => {
  const cases: [
    what: string,
    before: DeliveredTurn[],
    messages: string[],
    tells: string[],
    past: null | [why: string, what: unknown],
  ][] = [
    ["a first message", [], ["u:one"], ["one"], null],
    ["a second, without its history", [turn(["one"])], ["u:two"], ["two"], null],
    ["a second, with its history", [turn(["one"])], ["u:one", "a:1", "u:two"], ["two"], null],
    ["the same words again, after an answer", [turn(["one"])], ["u:one", "a:1", "u:one"], ["one"], null],
    ["one whose answer never came", [turn(["one"], unanswered)], ["u:one"], [], null],
    ["another behind it", [turn(["one"], unanswered)], ["u:one", "u:two"], ["two"], null],
    ["another instead of it", [turn(["one"], unanswered)], ["u:two"], ["two"], null],
    ["another behind one whose answer the client has missed", [turn(["one"])], ["u:one", "u:two"], ["two"], null],
    [
      "words that are like the last ones, behind these",
      [turn(["yes"])],
      ["u:yes", "a:1", "u:yes", "u:two"],
      ["yes", "two"],
      null,
    ],
    [
      "two whose answers never came",
      [turn(["one"], unanswered), turn(["two"], unanswered)],
      ["u:one", "u:two", "u:three"],
      ["three"],
      null,
    ],
    [
      "history that was trimmed at its beginning",
      [turn(["one"]), turn(["two"])],
      ["u:two", "a:2", "u:three"],
      ["three"],
      null,
    ],
    [
      "a history from elsewhere",
      [turn(["one"])],
      ["u:one", "a:1", "u:other", "a:x", "u:two"],
      ["two"],
      ["changed", ["other", "x"]],
    ],
    [
      "an edited message",
      [turn(["one"]), turn(["two"])],
      ["u:one", "a:1", "u:TWO", "a:2", "u:three"],
      ["three"],
      ["changed", ["TWO", "2"]],
    ],
    ["an edited first message", [turn(["one"])], ["u:ONE", "a:1", "u:two"], ["two"], ["changed", ["ONE", "1"]]],
    [
      "a message asked again after its answer",
      [turn(["one"]), turn(["two"])],
      ["u:one", "a:1", "u:two"],
      ["two"],
      ["taken back", 1],
    ],
    [
      "a way back",
      [turn(["one"]), turn(["two"]), turn(["three"])],
      ["u:one", "a:1", "u:four"],
      ["four"],
      ["taken back", 2],
    ],
    [
      "a stopped turn that the client has dropped",
      [turn(["one"]), turn(["two"], unanswered)],
      ["u:one", "a:1", "u:three"],
      ["three"],
      null,
    ],
  ];
  test.each(cases)("%s", (_what, before, messages, tells, past) => {
    const delivery = plan(before, question(messages), before.length === 0);
    expect(delivery.messages.map(({ text }) => text)).toEqual(tells);
    expect(pastOf(delivery)).toEqual(past as ReturnType<typeof pastOf>);
  });

  test("older history than is remembered is not told", () => {
    const asked = question(["u:one", "a:1", "u:two", "a:2", "u:three"]);
    const before = [turn(["two"])];
    const delivered = deliveredExchanges(before);
    const options = { isFresh: false, delivered, isTruncated: true, sentText: () => null };
    expect(planDelivery(before, asked, options).past).toBeNull();
  });

  test("a new Claude session is told all that was said, once", () => {
    const first = plan([], question(["u:one", "a:1", "u:two"]), true);
    expect(pastOf(first)).toEqual(["new", ["one", "1"]]);
    const before = [turn(["two"], { history: first.history })];
    expect(plan(before, question(["u:one", "a:1", "u:two", "a:2", "u:three"])).past).toBeNull();
  });

  test("a session whose deliveries were not noted is sent only what is new", () => {
    const delivery = plan([], question(["u:one", "a:1", "u:two"]));
    expect(delivery.past).toBeNull();
    expect(delivery.history.map(({ users }) => users)).toEqual([[messageFingerprint("one")]]);
  });

  const lost = { answered: false, truncation: "lost" } as const;
  const truncated: [what: string, before: DeliveredTurn[], messages: string[], isFresh: boolean, tells: boolean][] = [
    ["the last answer was lost", [turn(["one"], lost)], ["u:two"], false, true],
    ["the lost one is asked for again", [turn(["one"], lost)], ["u:one"], false, true],
    [
      "the last answer ended with an error",
      [turn(["one"], { ...unanswered, truncation: "failed" })],
      ["u:one", "a:1", "u:two"],
      false,
      true,
    ],
    ["there was an answer since", [turn(["one"], lost), turn(["two"])], ["u:three"], false, false],
    ["the last turn was stopped", [turn(["one"], unanswered)], ["u:two"], false, false],
    ["the Claude session is new", [turn(["one"], lost)], ["u:two"], true, false],
    ["results show that it arrived", [turn(["one"], lost)], ["u:one", "a:1", "t:done"], false, false],
  ];
  test.each(truncated)("a truncated answer, when %s", (_what, before, messages, isFresh, tells) => {
    expect(plan(before, question(messages), isFresh).isLastAnswerTruncated).toBe(tells);
  });

  test("what OpenClaw has dropped from its history was not taken back", () => {
    const before = [turn(["one"]), turn(["heartbeat"])];
    expect(plan(before, question(["u:one", "a:1", "u:two"], { fromOpenClaw: true })).past).toBeNull();
  });

  test("the volatile part of a prompt is sent when it changes", () => {
    const volatile = (before: DeliveredTurn[], text: string) =>
      plan(before, question(["u:x"], { volatile: text })).volatile;
    expect(volatile([turn(["one"])], "")).toBeNull();
    expect(volatile([turn(["one"])], "monday")).toEqual({ text: "monday", fingerprint: messageFingerprint("monday") });
    const known = [turn(["one"], { volatile: messageFingerprint("monday") }), turn(["two"])];
    expect(volatile(known, "monday")).toBeNull();
    expect(volatile(known, "tuesday")?.text).toBe("tuesday");
  });
});

/** A client's requests one after the other, each with the answer it got; what each of them told of the past. */
function conversation(...rounds: [messages: string[], answer: string | null][]) {
  const turns: DeliveredTurn[] = [];
  const sent: Record<string, string> = {};
  return rounds.map(([messages, answer], at) => {
    const asked = question(messages);
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
    });
    return { past: pastOf(delivery), sent: delivery.messages.map(({ text }) => text) };
  });
}
const three: [string[], string][] = [
  [["u:one"], "1"],
  [["u:one", "a:1", "u:two"], "2"],
  [["u:one", "a:1", "u:two", "a:2", "u:three"], "3"],
];
const all = ["u:one", "a:1", "u:two", "a:2", "u:three", "a:3"];

describe("a history that was changed", () => {
  const changed: [what: string, then: string[], past: [why: string, what: unknown] | null][] = [
    ["back to the first message, in other words", ["u:ONE"], ["taken back", 3]],
    ["back to the first message, in the same words", ["u:one"], ["taken back", 3]],
    ["back to the start, with something else", ["u:else"], ["taken back", 3]],
    ["without one pair in the middle", ["u:one", "a:1", "u:three", "a:3", "u:four"], ["changed", ["three", "3"]]],
    ["without the last pair", ["u:one", "a:1", "u:two", "a:2", "u:four"], ["taken back", 1]],
    ["without the last two pairs", ["u:one", "a:1", "u:four"], ["taken back", 2]],
    ["without the first pair, as clients trim it", ["u:two", "a:2", "u:three", "a:3", "u:four"], null],
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
      "with a pair more in the middle",
      ["u:one", "a:1", "u:more", "a:m", "u:two", "a:2", "u:three", "a:3", "u:four"],
      ["changed", ["more", "m", "two", "2", "three", "3"]],
    ],
    ["with a pair more at its end", [...all, "u:more", "a:m", "u:four"], ["changed", ["more", "m"]]],
    [
      "with a pair more at its beginning",
      ["u:zero", "a:0", ...all, "u:four"],
      ["changed", ["zero", "0", "one", "1", "two", "2", "three", "3"]],
    ],
    ["trimmed, and then changed", ["u:two", "a:2", "u:THREE", "a:3+", "u:four"], ["changed", ["THREE", "3+"]]],
    ["of another conversation", ["u:x", "a:y", "u:four"], ["changed", ["x", "y"]]],
    ["with other white space in an answer", [...all.slice(0, 5), "a: 3\n\n", "u:four"], null],
    ["with its reasoning shown in an answer", [...all.slice(0, 5), "a:<think>Bash\n</think>\n3", "u:four"], null],
    ["as it is", [...all, "u:four"], null],
  ];
  test.each(changed)("%s, is told once", (_what, then, past) => {
    const [, , , fourth, fifth] = conversation(...three, [then, "4"], [[...then, "a:4", "u:five"], "5"]);
    expect([fourth?.past as unknown, fourth?.sent]).toEqual([past, [then.at(-1)?.slice(2)]]);
    expect(fifth).toEqual({ past: null, sent: ["five"] });
  });

  test("counts again when the client goes back to it", () => {
    const one = ["u:one", "a:1"];
    const rounds = conversation(
      [["u:one"], "1"],
      [[...one, "u:two"], "2"],
      // Edited, and answered anew.
      [[...one, "u:TWO"], "2+"],
      // Back on the first branch, then on the second, then on the first.
      [[...one, "u:two", "a:2", "u:three"], "3"],
      [[...one, "u:TWO", "a:2+", "u:four"], "4"],
      [[...one, "u:two", "a:2", "u:three", "a:3", "u:five"], "5"],
    );
    expect(rounds.map(({ past }) => past)).toEqual([
      null,
      null,
      ["taken back", 1],
      ["changed", ["two", "2"]],
      ["changed", ["TWO", "2+"]],
      ["changed", ["two", "2", "three", "3"]],
    ]);
  });

  const go = "u:continue";
  const pairs: [what: string, history: string[], past: unknown][] = [
    ["the first of two", ["u:one", "a:1", go, "a:3"], ["changed", ["continue", "3"]]],
    ["the second of two", ["u:one", "a:1", go, "a:2"], ["taken back", 1]],
    ["none", ["u:one", "a:1", go, "a:2", go, "a:3"], null],
    ["both", ["u:one", "a:1"], ["taken back", 2]],
  ];
  test.each(pairs)("by pairs of the same words: without %s", (_what, history, past) => {
    const rounds = conversation(
      [["u:one"], "1"],
      [["u:one", "a:1", go], "2"],
      [["u:one", "a:1", go, "a:2", go], "3"],
      [[...history, "u:four"], "4"],
    );
    expect(rounds[3]?.past as unknown).toEqual(past);
  });

  test("is not told of by a client that sends no history", () => {
    const rounds = conversation([["u:one"], "1"], [["u:two"], "2"], [["u:two"], "2"], [["u:three"], "3"]);
    expect(rounds.map(({ past, sent }) => [past, sent])).toEqual([
      [null, ["one"]],
      [null, ["two"]],
      [null, ["two"]],
      [null, ["three"]],
    ]);
  });

  test("an answer that the client has stopped is its own to keep, to cut or to drop", () => {
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

  test("results that are sent again continue the exchange of their calls", () => {
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

  test("an answer that the client has missed is not taken back with what it sends again", () => {
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

describe("a message that its client's program has rewritten", () => {
  const wrapped = (query: string) =>
    `### Task:\nAnswer from the notes.\n\n<notes>\nnote 1\nnote 2\n</notes>\n\n<query>${query}</query>`;
  const rewritten: [what: string, sent: (words: string) => string[], kept: (words: string) => string[]][] = [
    ["was wrapped in what was looked up for it", (words) => [`u:${wrapped(words)}`], (words) => [`u:${words}`]],
    ["had its time in front", (words) => [`u:[2026-11-26 10:00] ${words}`], (words) => [`u:${words}`]],
    ["gets its time in front", (words) => [`u:${words}`], (words) => [`u:2026-11-26T10:00:00Z ${words}`]],
    ["has other line ends", (words) => [`u:${words}\r\nmore`], (words) => [`u:${words}\nmore`]],
    ["has decomposed accents", (words) => [`u:${words} \u00e9`], (words) => [`u:${words} e\u0301`]],
    ["had a note behind it", (words) => [`u:${words}\n\n[Be brief.]`], (words) => [`u:${words}`]],
    ["had a note in front of it", (words) => [`u:Be brief. ${words}`], (words) => [`u:${words}`]],
    ["had a note as a message behind it", (words) => [`u:${words}`, "u:[Be brief.]"], (words) => [`u:${words}`]],
  ];
  test.each(rewritten)("since it %s, was not edited", (_what, sent, kept) => {
    const ends = (words: string) => sent(words).map((one) => one.slice(2));
    const rounds = conversation(
      [sent("one"), "1"],
      [[...kept("one"), "a:1", ...sent("two")], "2"],
      [[...kept("one"), "a:1", ...kept("two"), "a:2", ...sent("two")], "3"],
      [[...kept("one"), "a:1", ...kept("two"), "a:2", ...kept("two"), "a:3", ...sent("four")], "4"],
    );
    expect(rounds).toEqual([
      { past: null, sent: ends("one") },
      { past: null, sent: ends("two") },
      { past: null, sent: ends("two") },
      { past: null, sent: ends("four") },
    ]);
  });

  test("was edited when its answer is another one, too", () => {
    const rounds = conversation([[`u:${wrapped("one")}`], "1"], [["u:one", "a:1+", "u:two"], "2"]);
    expect(rounds[1]?.past).toEqual(["changed", ["one", "1+"]]);
  });

  test("was edited when it says what was never sent", () => {
    const rounds = conversation([[`u:${wrapped("one")}`], "1"], [["u:other", "a:1", "u:two"], "2"]);
    expect(rounds[1]?.past).toEqual(["changed", ["other", "1"]]);
  });
});

describe("an answer given before", () => {
  const before = [
    turn(["one"], { traceId: "t1" }),
    turn(["two"], { traceId: "t2", ...unanswered }),
    turn(["three"], { traceId: "t3", ...unanswered, truncation: "lost" }),
    turn(["four"], { traceId: "t4", ...unanswered, truncation: "failed" }),
  ];
  const cases: [what: string, messages: string[], traceId: string | null, answer: string | null][] = [
    ["is given to the same run again", ["u:one"], "t1", "one"],
    ["not to another run", ["u:one"], "t9", null],
    ["may be there when the server was killed", ["u:three"], "t3", "three"],
    ["is not when an error ended it", ["u:four"], "t4", null],
    ["not without a trace", ["u:one"], null, null],
    ["not for other words", ["u:other"], "t1", null],
    ["not for more words", ["u:one", "u:other"], "t1", null],
    ["not to a run that brings a tool's result", ["u:one", "a:1", "t:done"], "t1", null],
    ["not when there was none", ["u:two"], "t2", null],
  ];
  test.each(cases)("%s", (_what, messages, traceId, answer) => {
    expect(findAnsweredTurn(before, question(messages, { traceId }))).toBe(answer);
  });
});

describe("a reset", () => {
  const openclaw = { fromOpenClaw: true };
  const one = [turn(["one"])];
  const cases: [
    what: string,
    before: DeliveredTurn[],
    asked: DeliveryRequest,
    before: number | null,
    now: number | null,
    is: boolean,
  ][] = [
    ["nothing of what was said", one, question(["u:two"], openclaw), null, null, true],
    ["with a higher number", one, question(["u:one"], openclaw), 1, 2, true],
    ["not with the same number", one, question(["u:two"], openclaw), 1, 1, false],
    ["not with a history", one, question(["u:one", "a:1", "u:two"], openclaw), 1, 2, false],
    ["not from another client", one, question(["u:two"]), null, null, false],
    ["not before an answer", [turn(["one"], unanswered)], question(["u:two"], openclaw), null, null, false],
    ["not when known words come again", one, question(["u:one"], openclaw), null, null, false],
  ];
  test.each(cases)("%s", (_what, before, asked, from, to, is) => {
    expect(isReset(before, asked, { before: from, now: to })).toBe(is);
  });
});
