/** What claude is told with a request, given what it was told before. */
import { describe, expect, test } from "bun:test";
import { readInput } from "../../src/conversation/input.ts";
import { printOf } from "../../src/conversation/print.ts";
import { answeredBefore, isReset, planTurn, type Question, type Told } from "../../src/conversation/told.ts";
import { type ChatMessage, chatRequest } from "../../src/openai/request.ts";

/** `u:` the user's, `a:` the assistant's, `t:` a tool's result. */
function question(messages: string[], more: Partial<Question> = {}): Question {
  const parsed = messages.map((one): ChatMessage => {
    const content = one.slice(2);
    if (one.startsWith("t:")) return { role: "tool", tool_call_id: "c", content };
    return { role: one.startsWith("u:") ? "user" : "assistant", content };
  });
  const input = readInput(chatRequest.parse({ messages: parsed }), null);
  return { input, traceId: null, volatile: "", fromOpenClaw: false, ...more };
}
const told = (words: string[], more: Partial<Told> = {}): Told => ({
  turn: words.join(),
  traceId: null,
  prints: words.map((one) => printOf(one)),
  pastPrints: [],
  volatile: null,
  answered: true,
  brokeOff: null,
  ...more,
});
const unanswered = { answered: false };

describe("what is told", () => {
  const cases: [
    what: string,
    before: Told[],
    messages: string[],
    tells: string[],
    past: null | [why: string, what: unknown],
  ][] = [
    ["a first message", [], ["u:one"], ["one"], null],
    ["a second, without its history", [told(["one"])], ["u:two"], ["two"], null],
    ["a second, with its history", [told(["one"])], ["u:one", "a:1", "u:two"], ["two"], null],
    ["the same words again, after an answer", [told(["one"])], ["u:one", "a:1", "u:one"], ["one"], null],
    ["one whose answer never came", [told(["one"], unanswered)], ["u:one"], [], null],
    ["another behind it", [told(["one"], unanswered)], ["u:one", "u:two"], ["two"], null],
    ["another instead of it", [told(["one"], unanswered)], ["u:two"], ["two"], null],
    ["another behind one whose answer the client has missed", [told(["one"])], ["u:one", "u:two"], ["two"], null],
    [
      "words that are like the last ones, behind these",
      [told(["yes"])],
      ["u:yes", "a:1", "u:yes", "u:two"],
      ["yes", "two"],
      null,
    ],
    [
      "two whose answers never came",
      [told(["one"], unanswered), told(["two"], unanswered)],
      ["u:one", "u:two", "u:three"],
      ["three"],
      null,
    ],
    [
      "history that was trimmed at its beginning",
      [told(["one"]), told(["two"])],
      ["u:two", "a:2", "u:three"],
      ["three"],
      null,
    ],
    ["older history than is remembered", [told(["two"])], ["u:one", "a:1", "u:two", "a:2", "u:three"], ["three"], null],
    [
      "a history from elsewhere",
      [told(["one"])],
      ["u:one", "a:1", "u:other", "a:x", "u:two"],
      ["two"],
      ["changed", ["other", "x"]],
    ],
    [
      "an edited message",
      [told(["one"]), told(["two"])],
      ["u:one", "a:1", "u:TWO", "a:2", "u:three"],
      ["three"],
      ["changed", ["TWO", "2"]],
    ],
    ["an edited first message", [told(["one"])], ["u:ONE", "a:1", "u:two"], ["two"], ["changed", ["ONE", "1"]]],
    [
      "a message asked again after its answer",
      [told(["one"]), told(["two"])],
      ["u:one", "a:1", "u:two"],
      ["two"],
      ["taken back", 1],
    ],
    [
      "a way back",
      [told(["one"]), told(["two"]), told(["three"])],
      ["u:one", "a:1", "u:four"],
      ["four"],
      ["taken back", 2],
    ],
    [
      "a stopped turn that the client has dropped",
      [told(["one"]), told(["two"], unanswered)],
      ["u:one", "a:1", "u:three"],
      ["three"],
      null,
    ],
  ];
  test.each(cases)("%s", (_what, before, messages, tells, past) => {
    const plan = planTurn(before, question(messages), before.length === 0);
    expect(plan.messages.map(({ text }) => text)).toEqual(tells);
    const found = plan.past && [
      plan.past.why,
      "history" in plan.past ? plan.past.history.map((one) => one.text) : plan.past.count,
    ];
    expect(found).toEqual(past as typeof found);
  });

  test("to a new claude is all that was said, and known from then on", () => {
    const first = planTurn([], question(["u:one", "a:1", "u:two"]), true);
    expect(first.past).toMatchObject({ why: "new", history: [{ text: "one" }, { text: "1" }] });
    expect(first.pastPrints).toEqual([printOf("one")]);
    const before = [told(["two"], { pastPrints: first.pastPrints })];
    expect(planTurn(before, question(["u:one", "a:1", "u:two", "a:2", "u:three"]), false).past).toBeNull();
  });

  test("to a claude of whose turns nothing was noted is only what is new", () => {
    const plan = planTurn([], question(["u:one", "a:1", "u:two"]), false);
    expect([plan.past, plan.pastPrints]).toEqual([null, [printOf("one")]]);
  });

  const lost = { answered: false, brokeOff: "lost" } as const;
  const brokenOff: [what: string, before: Told[], messages: string[], fresh: boolean, tells: boolean][] = [
    ["that the last one was lost", [told(["one"], lost)], ["u:two"], false, true],
    ["also when it is asked again", [told(["one"], lost)], ["u:one"], false, true],
    [
      "that it ended with an error",
      [told(["one"], { ...unanswered, brokeOff: "failed" })],
      ["u:one", "a:1", "u:two"],
      false,
      true,
    ],
    ["once", [told(["one"], lost), told(["two"])], ["u:three"], false, false],
    ["not of one that was stopped", [told(["one"], unanswered)], ["u:two"], false, false],
    ["not to a new claude", [told(["one"], lost)], ["u:two"], true, false],
    ["not when results show that it has come", [told(["one"], lost)], ["u:one", "a:1", "t:done"], false, false],
  ];
  test.each(brokenOff)("of an answer that broke off: %s", (_what, before, messages, fresh, tells) => {
    expect(planTurn(before, question(messages), fresh).brokeOff).toBe(tells);
  });

  test("OpenClaw's way back is its own tidying", () => {
    const before = [told(["one"]), told(["heartbeat"])];
    expect(planTurn(before, question(["u:one", "a:1", "u:two"], { fromOpenClaw: true }), false).past).toBeNull();
  });

  test("the volatile part of a prompt is told when it changes", () => {
    const volatile = (before: Told[], text: string) =>
      planTurn(before, question(["u:x"], { volatile: text }), false).volatile;
    expect(volatile([told(["one"])], "")).toBeNull();
    expect(volatile([told(["one"])], "monday")).toEqual({ text: "monday", print: printOf("monday") });
    const known = [told(["one"], { volatile: printOf("monday") }), told(["two"])];
    expect(volatile(known, "monday")).toBeNull();
    expect(volatile(known, "tuesday")?.text).toBe("tuesday");
  });
});

describe("an answer given before", () => {
  const before = [
    told(["one"], { traceId: "t1" }),
    told(["two"], { traceId: "t2", ...unanswered }),
    told(["three"], { traceId: "t3", ...unanswered, brokeOff: "lost" }),
    told(["four"], { traceId: "t4", ...unanswered, brokeOff: "failed" }),
  ];
  const cases: [what: string, messages: string[], traceId: string | null, turn: string | null][] = [
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
  test.each(cases)("%s", (_what, messages, traceId, turn) => {
    expect(answeredBefore(before, question(messages, { traceId }))).toBe(turn);
  });
});

describe("a reset", () => {
  const openclaw = { fromOpenClaw: true };
  const one = [told(["one"])];
  const cases: [what: string, told: Told[], asked: Question, before: number | null, now: number | null, is: boolean][] =
    [
      ["nothing of what was said", one, question(["u:two"], openclaw), null, null, true],
      ["with a higher number", one, question(["u:one"], openclaw), 1, 2, true],
      ["not with the same number", one, question(["u:two"], openclaw), 1, 1, false],
      ["not with a history", one, question(["u:one", "a:1", "u:two"], openclaw), 1, 2, false],
      ["not from another client", one, question(["u:two"]), null, null, false],
      ["not before an answer", [told(["one"], unanswered)], question(["u:two"], openclaw), null, null, false],
      ["not when known words come again", one, question(["u:one"], openclaw), null, null, false],
    ];
  test.each(cases)("%s", (_what, before, asked, from, to, is) => {
    expect(isReset(before, asked, { before: from, now: to })).toBe(is);
  });
});
