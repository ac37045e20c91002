/** Which branch of a conversation a request belongs to. */
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
  hasFailed: false,
});
const branch = (
  key: string,
  model: string,
  turns: [user: string, answer: string | null][],
  pending: string[] = [],
): Branch => ({
  key,
  model,
  pendingFingerprints: pending.map((one) => [messageFingerprint(one)]),
  delivered: () => turns.map(([user, answer]) => turn(user, answer)),
});
/** @param messages of the user and the assistant in turn */
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
    ["of the same model stays in the conversation", [main], request("a", ["one", "1", "two"]), "main"],
    ["of the same model that removes everything stays in the conversation", [main], request("a", ["two"]), "main"],
    [
      "of another model whose history has the last answer stays in the conversation",
      [main],
      request("b", ["one", "1", "two"]),
      "main",
    ],
    [
      "of another model whose history has another answer begins a branch",
      [main],
      request("b", ["one", "x", "two"]),
      null,
    ],
    [
      "of another model whose history lacks the last answer begins a branch",
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
      "of another model begins a branch while the first model still answers",
      [branch("main", "a", [["one", "1"]], ["two"])],
      request("b", ["one", "1", "two"]),
      null,
    ],
    ["of another model with the same first message begins a branch", [main], request("b", ["one"]), null],
    [
      "of another model with the message that the first model is answering begins a branch",
      [branch("main", "a", [], ["one"])],
      request("b", ["one"]),
      null,
    ],
    ["of another model without history stays, when the client sends none", [main], request("b", ["two"]), "main"],
    [
      "of another model without history begins a branch, when the client always sends it",
      [main],
      request("b", ["two"], true),
      null,
    ],
    ["goes to its model's branch", [main, side], request("b", ["one", "1b", "two"]), "side"],
    [
      "goes to its model's branch even when its history is another branch's",
      [main, side],
      request("b", ["one", "1", "two"]),
      "side",
    ],
    [
      "goes to the one of two branches of its model that has its last answer",
      [branch("main", "b", [["one", "1"]]), side],
      request("b", ["one", "1b", "two"]),
      "side",
    ],
    [
      "of a third model stays in the branch that its history ends with",
      [main, side],
      request("c", ["one", "1b", "two"]),
      "side",
    ],
    [
      "is compared by the user's message when the client's answer is not known",
      [branch("main", "a", [["one", null]])],
      request("b", ["one", "1", "two"]),
      "main",
    ],
  ];
  test.each(cases)("%s", (_what, branches, asked, key) => {
    expect(chooseBranch(branches, asked)?.key ?? null).toBe(key);
  });
});
