/** What of an answer is sent at once, and what is added when it is complete. */
import { expect, test } from "bun:test";
import { AnswerText } from "../../src/one-shot/answer-text.ts";

test("sends tokens as they come, and adds nothing when they were all", () => {
  const answer = new AnswerText();
  expect(answer.addTokens("m1", "one ")).toBe("one ");
  expect(answer.addTokens("m1", "two")).toBe("two");
  answer.addComplete("m1", "one two");
  expect(answer.complete(answer.whole)).toBe("");
});

test("adds the text whose tokens never came", () => {
  const answer = new AnswerText();
  answer.addTokens("m1", "one ");
  answer.addComplete("m1", "one two");
  expect(answer.complete(answer.whole)).toBe("two");
});

test("separates two messages by a blank line, unless the model was cut off in the first", () => {
  const apart = new AnswerText();
  apart.addTokens("m1", "one");
  apart.stop("m1", "end_turn");
  expect(apart.addTokens("m2", "two")).toBe("\n\ntwo");
  const cut = new AnswerText();
  cut.addTokens("m1", "one");
  cut.stop("m1", "max_tokens");
  expect(cut.addTokens("m2", " more")).toBe(" more");
  cut.addComplete("m1", "one");
  cut.addComplete("m2", " more");
  expect(cut.whole).toBe("one more");
});

test("sends no more tokens after a message was abandoned, and completes the text if the new one begins with it", () => {
  const answer = new AnswerText();
  answer.addTokens("m1", "one ");
  answer.addComplete("m1", "one ");
  answer.abandon("m1");
  expect(answer.addTokens("m2", "one two")).toBe("");
  answer.addComplete("m2", "one two");
  expect(answer.complete(answer.whole)).toBe("two");
});

test("cannot be completed when the new message begins with another text", () => {
  const answer = new AnswerText();
  answer.addTokens("m1", "one ");
  answer.abandon("m1");
  answer.addComplete("m2", "two");
  expect(answer.complete(answer.whole)).toBeNull();
  expect(answer.sent).toBe("one ");
});
