/** Which part of a message that OpenClaw sends again Claude has not received. */
import { describe, expect, test } from "bun:test";
import type { ChatMessage } from "../../src/api/openai-chat/request.ts";
import { inputText } from "../../src/conversation/input-text.ts";
import { undelivered } from "../../src/conversation/undelivered.ts";
import { messageFingerprint } from "../../src/intake/fingerprint.ts";
import { readInput } from "../../src/intake/input.ts";
import { parseRequest } from "../../src/intake/parsed-request.ts";
import {
  ABORTED,
  agentRequest,
  assistant,
  CONTINUE,
  QUEUED,
  toolResult,
  user,
  withTimestamp,
} from "../support/openclaw.ts";

const rest = (messages: readonly ChatMessage[], delivered: readonly string[]) => {
  const { request, headers } = agentRequest(messages);
  const fingerprints = new Set(delivered.map((text) => messageFingerprint(text)));
  return inputText(
    undelivered(readInput(parseRequest(request, headers)).messages, (fingerprint) => fingerprints.has(fingerprint)),
  );
};
const aborted = [user(withTimestamp("hello")), user(ABORTED), user(CONTINUE)];
const quoted = [user(withTimestamp(`${QUEUED}\na\n\nb\n\nc`))];

describe("the undelivered part", () => {
  const cases: [what: string, messages: ChatMessage[], delivered: string[], left: string][] = [
    ["of an undelivered text is the whole text", [user(withTimestamp("hello"))], [], withTimestamp("hello")],
    ["of a delivered text is empty", [user(withTimestamp("hello", 3))], [withTimestamp("hello")], ""],
    ["of a delivered text and another is the other", [user("hello"), user("more")], ["hello"], "more"],
    ["of an aborted turn that was delivered is the request to continue", aborted, ["hello"], CONTINUE],
    ["of an aborted turn that was not delivered is its text", aborted, [], withTimestamp("hello")],
    ["of an undelivered quotation is the whole quotation", quoted, [], withTimestamp("a\n\nb\n\nc")],
    ["of a quotation whose beginning was delivered is the rest", quoted, ["a"], withTimestamp("b\n\nc")],
    ["of a quotation of which more was delivered is the rest", quoted, ["a\n\nb", "a"], withTimestamp("c")],
    ["of a quotation delivered in two parts is the rest", quoted, ["a", "b"], withTimestamp("c")],
    ["of a quotation that was delivered whole is empty", quoted, ["a\n\nb\n\nc"], ""],
    ["of nested quotations is the innermost new text", [user(`${QUEUED}\na\n\n${QUEUED}\nb\n\nc`)], ["a", "b"], "c"],
    [
      "of tool results is all of them",
      [user("do it"), assistant("", ["c1", "exec"]), toolResult("c1", "done"), user("hello")],
      ["hello"],
      "[exec returned]\ndone",
    ],
  ];
  test.each(cases)("%s", (_what, messages, delivered, left) => {
    expect(rest(messages, delivered)).toBe(left);
  });
});
