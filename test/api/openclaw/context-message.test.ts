/** Context messages, and the messages of people that look like them. */
import { describe, expect, test } from "bun:test";
import { contextIn } from "../../../src/api/openclaw/context-message.ts";
import { assistant, contextMessage, toolResult, user } from "../../support/openclaw.ts";

const BEGIN = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const END = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";
const block = (text: string) => `${BEGIN}\n${text}\n${END}`;

describe("reads the content of a context message", () => {
  const cases: [what: string, message: ReturnType<typeof user>, context: string][] = [
    ["in a part", contextMessage("Events:\nnone"), "Events:\nnone"],
    ["in a string", user(block("Events")), "Events"],
    ["with white space around it", user(`\n${block("Events")}\n`), "Events"],
    ["that is empty", user(block("")), ""],
  ];
  test.each(cases)("%s", (_what, message, context) => {
    expect(contextIn(message)).toBe(context);
  });
});

describe("does not take for a context message", () => {
  const cases: [what: string, message: ReturnType<typeof user>][] = [
    ["a question with one behind it", user(`What does this mean?\n${block("Events")}`)],
    ["one with a question behind it", user(`${block("Events")}\nWhat does this mean?`)],
    ["two with a question in between", user(`${block("Events")}\nWhat does this mean?\n${block("Events")}`)],
    ["one with two beginnings", user(block(`Events\n${BEGIN}`))],
    ["one with two ends", user(block(`Events\n${END}\nWhat does this mean?`))],
    ["one inside another", user(block(block("Events")))],
    ["one without an end", user(`${BEGIN}\nEvents`)],
    ["one on a single line", user(`${BEGIN} Events ${END}`)],
    ["one with an image", user([{ type: "text", text: block("Events") }, { type: "image_url" }])],
    ["an assistant message", assistant(block("Events"))],
    ["a tool's result", toolResult("1", block("Events"))],
    ["an ordinary message", user("hello")],
  ];
  test.each(cases)("%s", (_what, message) => {
    expect(contextIn(message)).toBeNull();
  });
});
