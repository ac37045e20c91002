/** Which of the user's messages counts as delivered when the client has begun the answer to it. */
import { describe, expect, test } from "bun:test";
import type { DeliveredExchange } from "../../src/conversation/delivered-exchange.ts";
import { withDeliveredAsHistory } from "../../src/conversation/delivered-input.ts";
import { readInput } from "../../src/intake/input.ts";
import { parsedRequest } from "../support/parsed-request.ts";

describe("the user's message before an answer that the client has begun", () => {
  const user = (content: string) => ({ role: "user", content });
  const assistant = (content: string) => ({ role: "assistant", content });
  const read = (...messages: object[]) => readInput(parsedRequest({ messages }));
  const delivered = (...turns: object[][]): DeliveredExchange[] =>
    turns.map((messages, at) => {
      const recorded = { users: read(...messages).newFingerprints, answer: null };
      return { ...recorded, turn: `${at}`, answered: true, hasFailed: false, recorded };
    });
  const cases: [what: string, turns: object[][], messages: object[], isHistory: boolean][] = [
    [
      "is history when it is the last message that Claude has received",
      [[user("one")]],
      [user("one"), assistant("a")],
      true,
    ],
    [
      "is history in a later turn",
      [[user("one")], [user("two")]],
      [user("one"), assistant("a"), user("two"), assistant("b")],
      true,
    ],
    [
      "is history when the client has dropped the messages before it",
      [[user("one")], [user("two")]],
      [user("two"), assistant("b")],
      true,
    ],
    [
      "is new when Claude has not received it",
      [[user("one")]],
      [user("one"), assistant("a"), user("two"), assistant("b")],
      false,
    ],
    ["is new when Claude has received nothing", [], [user("one"), assistant("a")], false],
    [
      "is new when Claude has received the same text earlier",
      [[user("one")], [user("yes")]],
      [user("one"), assistant("a"), user("yes"), assistant("b"), user("yes"), assistant("c")],
      false,
    ],
    ["is new when the client has begun no answer", [[user("one")]], [user("one")], false],
  ];
  test.each(cases)("%s", (_what, turns, messages, isHistory) => {
    const input = read(...messages);
    const now = withDeliveredAsHistory(delivered(...turns), input);
    expect(now.messages).toHaveLength(isHistory ? 0 : 1);
    expect([...now.historyFingerprints, ...now.newFingerprints]).toEqual([
      ...input.historyFingerprints,
      ...input.newFingerprints,
    ]);
    expect(now.history.flatMap(({ fingerprints }) => fingerprints)).toEqual([...now.historyFingerprints]);
  });
});
