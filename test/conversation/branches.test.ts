/** In which branch of a conversation a request goes on. */
import { describe, expect, test } from "bun:test";
import { type Branch, chooseBranch } from "../../src/conversation/branches.ts";
import { answerFingerprint, messageFingerprint } from "../../src/intake/fingerprint.ts";
import { readInput } from "../../src/intake/input.ts";
import type { DeliveredTurn } from "../../src/turn/delivered-turn.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const turn = (user: string, answer: string | null): DeliveredTurn => ({
  turn: user,
  traceId: null,
  dropped: 0,
  history: [],
  exchanges: [{ users: [messageFingerprint(user)], answer: answer === null ? null : answerFingerprint(answer) }],
  hadHistory: true,
  volatile: null,
  answered: true,
  truncation: null,
});
const branch = (
  key: string,
  model: string,
  turns: [user: string, answer: string | null][],
  asking: string[] = [],
): Branch => ({
  key,
  model,
  pendingFingerprints: asking.map((one) => [messageFingerprint(one)]),
  delivered: () => turns.map(([user, answer]) => turn(user, answer)),
});
/** `messages` take turns, the user's first. */
const request = (model: string, messages: string[], sendsHistory = false) => ({
  model,
  sendsHistory,
  input: readInput(
    parsedRequest({ messages: messages.map((content, at) => ({ role: at % 2 ? "assistant" : "user", content })) }),
  ),
});

describe("a request", () => {
  const main = branch("main", "a", [["one", "1"]]);
  const side = branch("side", "b", [["one", "1b"]]);
  const cases: [what: string, branches: Branch[], asked: ReturnType<typeof request>, key: string | null][] = [
    ["of the same model goes on", [main], request("a", ["one", "1", "two"]), "main"],
    ["of the same model that undoes all goes on", [main], request("a", ["two"]), "main"],
    ["of another model that holds the answer goes on", [main], request("b", ["one", "1", "two"]), "main"],
    ["of another model with another answer begins a branch", [main], request("b", ["one", "x", "two"]), null],
    [
      "of another model that lacks the last answer begins a branch",
      [
        branch("main", "a", [
          ["one", "1"],
          ["two", "2"],
        ]),
      ],
      request("b", ["one", "1", "two"]),
      null,
    ],
    [
      "of another model begins a branch while the first is still asked",
      [branch("main", "a", [["one", "1"]], ["two"])],
      request("b", ["one", "1", "two"]),
      null,
    ],
    ["of another model with the same first words begins a branch", [main], request("b", ["one"]), null],
    [
      "of another model with the words that the first is just asked begins a branch",
      [branch("main", "a", [], ["one"])],
      request("b", ["one"]),
      null,
    ],
    ["of another model from a client that sends no history goes on", [main], request("b", ["two"]), "main"],
    ["of another model from one that always sends it begins a branch", [main], request("b", ["two"], true), null],
    ["finds its model's branch", [main, side], request("b", ["one", "1b", "two"]), "side"],
    ["finds it also when its history is another's", [main, side], request("b", ["one", "1", "two"]), "side"],
    [
      "finds among two of its model the one with its answer",
      [branch("main", "b", [["one", "1"]]), side],
      request("b", ["one", "1b", "two"]),
      "side",
    ],
    ["of a third model goes on where its history ends", [main, side], request("c", ["one", "1b", "two"]), "side"],
    [
      "is compared by the user's words where the answer is not known",
      [branch("main", "a", [["one", null]])],
      request("b", ["one", "1", "two"]),
      "main",
    ],
  ];
  test.each(cases)("%s", (_what, branches, asked, key) => {
    expect(chooseBranch(branches, asked)?.key ?? null).toBe(key);
  });
});
