/** The answers of a turn, and which of them the client is known to have whole. */
import { describe, expect, test } from "bun:test";
import { answerFingerprint } from "../../src/intake/fingerprint.ts";
import { TurnAnswers } from "../../src/turn/answers.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";

const USAGE = Promise.resolve(null);

function createAnswers({ isContinuation = false } = {}) {
  const response = new ResponseStream();
  let disconnects = 0;
  const onDisconnect = () => {
    disconnects += 1;
  };
  const answers = new TurnAnswers(response, ["one"], { isContinuation, onDisconnect });
  answers.watchClient();
  return { answers, response, disconnects: () => disconnects };
}

describe("the fingerprint of an answer", () => {
  const whole = answerFingerprint("hi");

  test("is recorded when the client has received all of it", () => {
    const { answers, response } = createAnswers();
    response.push({ type: "text", text: "hi" });
    expect(answers.delivered(true, false)).toEqual([{ users: ["one"], answer: whole }]);
  });

  test("is not recorded while the answer is incomplete", () => {
    const { answers, response } = createAnswers();
    response.push({ type: "text", text: "hi" });
    expect(answers.delivered(false, false)).toEqual([{ users: ["one"], answer: null }]);
  });

  test("is not recorded when the answer ended with an error", () => {
    const { answers, response } = createAnswers();
    response.push({ type: "text", text: "hi" });
    expect(answers.delivered(true, true)).toEqual([{ users: ["one"], answer: null }]);
  });

  test("is not recorded when the client disconnected before the end", () => {
    const { answers, response } = createAnswers();
    response.push({ type: "text", text: "hi" });
    response.disconnect();
    expect(answers.delivered(true, false)).toEqual([{ users: ["one"], answer: null }]);
  });

  test("is not recorded when the client has begun the answer itself", () => {
    const { answers, response } = createAnswers({ isContinuation: true });
    response.push({ type: "text", text: "hi" });
    expect(answers.delivered(true, false)).toEqual([{ users: ["one"], answer: null }]);
  });

  test("covers the texts before and after tool calls", () => {
    const { answers, response } = createAnswers();
    response.push({ type: "text", text: "one" });
    answers.park({ type: "calls", calls: [] }, USAGE);
    const next = new ResponseStream();
    answers.begin(next);
    next.push({ type: "text", text: "two" });
    expect(answers.delivered(true, false)).toEqual([{ users: ["one"], answer: answerFingerprint("one\ntwo") }]);
  });

  test("is recorded for the answer before a question while the next answer is incomplete", () => {
    const { answers, response } = createAnswers();
    response.push({ type: "text", text: "hi" });
    answers.park({ type: "finish" }, USAGE);
    answers.beginExchange(["yes"]);
    answers.begin(new ResponseStream());
    expect(answers.delivered(false, false)).toEqual([
      { users: ["one"], answer: whole },
      { users: ["yes"], answer: null },
    ]);
  });
});

describe("a client that disconnects", () => {
  test("is noticed while its answer is open", () => {
    const { response, disconnects } = createAnswers();
    response.disconnect();
    expect(disconnects()).toBe(1);
  });

  test("is noticed when it disconnected before its answer began", () => {
    const { answers, disconnects } = createAnswers();
    const next = new ResponseStream();
    next.disconnect();
    answers.begin(next);
    answers.watchClient();
    expect(disconnects()).toBe(1);
  });

  test("is expected after its whole answer", () => {
    const { answers, response, disconnects } = createAnswers();
    answers.park({ type: "finish" }, USAGE);
    response.disconnect();
    expect(disconnects()).toBe(0);
  });
});

test("a response after a tool use says that tools have run", () => {
  const { answers, response } = createAnswers();
  answers.noteToolUse();
  answers.park({ type: "finish" }, USAGE);
  const next = new ResponseStream();
  answers.begin(next);
  expect([response.hasRunTools, next.hasRunTools]).toEqual([true, true]);
});
