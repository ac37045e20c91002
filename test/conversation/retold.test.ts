/** What claude has not heard yet of a turn that is told again. */
import { describe, expect, test } from "bun:test";
import { inputText, readInput } from "../../src/conversation/input.ts";
import { printOf } from "../../src/conversation/print.ts";
import { untold } from "../../src/conversation/retold.ts";
import type { ChatMessage } from "../../src/openai/request.ts";
import { readOpenClaw } from "../../src/openclaw/request.ts";
import { ABORTED, agentRequest, assistant, CONTINUE, QUEUED, stamp, toolResult, user } from "../support/openclaw.ts";

const rest = (messages: readonly ChatMessage[], told: readonly string[]) => {
  const { request, headers } = agentRequest(messages);
  const prints = new Set(told.map((text) => printOf(text)));
  return inputText(untold(readInput(request, readOpenClaw(request, headers)).messages, (print) => prints.has(print)));
};
const aborted = [user(stamp("hello")), user(ABORTED), user(CONTINUE)];
const quoted = [user(stamp(`${QUEUED}\na\n\nb\n\nc`))];

describe("what is left", () => {
  const cases: [what: string, messages: ChatMessage[], told: string[], left: string][] = [
    ["of words nobody has told", [user(stamp("hello"))], [], stamp("hello")],
    ["of words that were told", [user(stamp("hello", 3))], [stamp("hello")], ""],
    ["of the same and more", [user("hello"), user("more")], ["hello"], "more"],
    ["of an aborted turn that was told: to go on", aborted, ["hello"], CONTINUE],
    ["of an aborted turn that was not told: the words alone", aborted, [], stamp("hello")],
    ["of a quotation nobody was told", quoted, [], stamp("a\n\nb\n\nc")],
    ["of a quotation that was told", quoted, ["a"], stamp("b\n\nc")],
    ["of a longer quotation that was told", quoted, ["a\n\nb", "a"], stamp("c")],
    ["of two that were told one by one", quoted, ["a", "b"], stamp("c")],
    ["of a quotation that was told whole", quoted, ["a\n\nb\n\nc"], ""],
    ["of a quotation in a quotation", [user(`${QUEUED}\na\n\n${QUEUED}\nb\n\nc`)], ["a", "b"], "c"],
    [
      "of results: all of them",
      [user("do it"), assistant("", ["c1", "exec"]), toolResult("c1", "done"), user("hello")],
      ["hello"],
      "[exec returned]\ndone",
    ],
  ];
  test.each(cases)("%s", (_what, messages, told, left) => {
    expect(rest(messages, told)).toBe(left);
  });
});
