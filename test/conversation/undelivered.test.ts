/** What Claude has not received yet of a turn that is sent again. */
import { describe, expect, test } from "bun:test";
import type { ChatMessage } from "../../src/api/openai-chat/request.ts";
import { inputText } from "../../src/conversation/input-text.ts";
import { undelivered } from "../../src/conversation/undelivered.ts";
import { messageFingerprint } from "../../src/intake/fingerprint.ts";
import { readInput } from "../../src/intake/input.ts";
import { parseRequest } from "../../src/intake/parsed-request.ts";
import { ABORTED, agentRequest, assistant, CONTINUE, QUEUED, stamp, toolResult, user } from "../support/openclaw.ts";

const rest = (messages: readonly ChatMessage[], delivered: readonly string[]) => {
  const { request, headers } = agentRequest(messages);
  const fingerprints = new Set(delivered.map((text) => messageFingerprint(text)));
  return inputText(
    undelivered(readInput(parseRequest(request, headers)).messages, (fingerprint) => fingerprints.has(fingerprint)),
  );
};
const aborted = [user(stamp("hello")), user(ABORTED), user(CONTINUE)];
const quoted = [user(stamp(`${QUEUED}\na\n\nb\n\nc`))];

describe("what is left", () => {
  const cases: [what: string, messages: ChatMessage[], delivered: string[], left: string][] = [
    ["of text that was not delivered", [user(stamp("hello"))], [], stamp("hello")],
    ["of text that was delivered", [user(stamp("hello", 3))], [stamp("hello")], ""],
    ["of the same text and more", [user("hello"), user("more")], ["hello"], "more"],
    ["of an aborted turn that was delivered: the request to go on", aborted, ["hello"], CONTINUE],
    ["of an aborted turn that was not delivered: its text alone", aborted, [], stamp("hello")],
    ["of a quotation that was not delivered", quoted, [], stamp("a\n\nb\n\nc")],
    ["of a quotation that was delivered", quoted, ["a"], stamp("b\n\nc")],
    ["of a longer quotation that was delivered", quoted, ["a\n\nb", "a"], stamp("c")],
    ["of two that were delivered one by one", quoted, ["a", "b"], stamp("c")],
    ["of a quotation that was delivered whole", quoted, ["a\n\nb\n\nc"], ""],
    ["of a quotation in a quotation", [user(`${QUEUED}\na\n\n${QUEUED}\nb\n\nc`)], ["a", "b"], "c"],
    [
      "of results: all of them",
      [user("do it"), assistant("", ["c1", "exec"]), toolResult("c1", "done"), user("hello")],
      ["hello"],
      "[exec returned]\ndone",
    ],
  ];
  test.each(cases)("%s", (_what, messages, delivered, left) => {
    expect(rest(messages, delivered)).toBe(left);
  });
});
