/** A carrier is nobody's words, and nobody's words are a carrier. */
import { describe, expect, test } from "bun:test";
import { contextIn } from "../../../src/api/openclaw/context-message.ts";
import { assistant, carrier, toolResult, user } from "../../support/openclaw.ts";

const BEGIN = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const END = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";
const block = (text: string) => `${BEGIN}\n${text}\n${END}`;

describe("carries", () => {
  const cases: [what: string, message: ReturnType<typeof user>, context: string][] = [
    ["a part", carrier("Events:\nnone"), "Events:\nnone"],
    ["a string", user(block("Events")), "Events"],
    ["blanks around it", user(`\n${block("Events")}\n`), "Events"],
    ["nothing", user(block("")), ""],
  ];
  test.each(cases)("%s", (_what, message, context) => {
    expect(contextIn(message)).toBe(context);
  });
});

describe("is not", () => {
  const cases: [what: string, message: ReturnType<typeof user>][] = [
    ["a question about it", user(`What does this mean?\n${block("Events")}`)],
    ["words behind it", user(`${block("Events")}\nWhat does this mean?`)],
    ["words between two", user(`${block("Events")}\nWhat does this mean?\n${block("Events")}`)],
    ["one that begins twice", user(block(`Events\n${BEGIN}`))],
    ["one that ends twice", user(block(`Events\n${END}\nWhat does this mean?`))],
    ["one in another", user(block(block("Events")))],
    ["its beginning", user(`${BEGIN}\nEvents`)],
    ["its markers in a line", user(`${BEGIN} Events ${END}`)],
    ["one with an image", user([{ type: "text", text: block("Events") }, { type: "image_url" }])],
    ["an answer", assistant(block("Events"))],
    ["a result", toolResult("1", block("Events"))],
    ["an ordinary message", user("hello")],
  ];
  test.each(cases)("%s", (_what, message) => {
    expect(contextIn(message)).toBeNull();
  });
});
