/** On the real claude: answers that are cut at the token limit, and refusals of the model. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type OpenAI from "openai";
import { type Step, stop, text, toolUse } from "../support/mock-anthropic.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** A one-shot. */
const ONE_SHOT = { user: undefined };
/** Claude Code's own prompt for the rest of a cut one-shot. */
const CONTINUE_PROMPT = /Output token limit hit/;

/** Sets the steps of each model call for this message. Further calls repeat the last steps. */
function calls(match: RegExp, ...all: Step[][]): void {
  let call = 0;
  world.mock.on(match, () => all[Math.min(call++, all.length - 1)] as Step[]);
}
async function unstreamed(content: string, more: object = {}) {
  const response = await world.server.post(ask(content, { stream: false, ...more }));
  const body = (await response.json()) as OpenAI.ChatCompletion;
  const { message, finish_reason } = body.choices[0] as OpenAI.ChatCompletion.Choice;
  return [message.content, finish_reason];
}
const streamed = async (content: string, more: object = {}) =>
  (await Array.fromAsync(texts(await world.server.post(ask(content, more))))).join("");

const cuts: [what: string, reason: string, first: string, second: string][] = [
  ["in a word", "max_tokens", "A uni", "corn.\nThe end"],
  ["in a word, by the context's end", "model_context_window_exceeded", "A uni", "corn.\nThe end"],
  ["in a code fence", "max_tokens", "Look:\n\n```js\nconst a = 1;\ncon", "st b = 2;\n```\n"],
  ["in a table", "max_tokens", "| a | b |\n|---|---|\n| 1 ", "| 2 |\n"],
  ["after a line", "max_tokens", "- one\n", "- two\n"],
  ["after a blank line", "model_context_window_exceeded", "One.\n\n", "Two."],
];
describe("an answer that was cut off", () => {
  test.each(cuts)("is continued without a gap: %s (%s)", async (what, reason, first, second) => {
    const match = new RegExp(`cut ${what}, ${reason}\\b`);
    const question = `cut ${what}, ${reason}`;
    calls(match, [text(first), stop(reason)], [text(second)], [text(first), stop(reason)], [text(second)]);
    expect(await streamed(question)).toBe(first + second);
    expect(await unstreamed(`unstreamed, ${question}`)).toEqual([first + second, "stop"]);
    if (what !== "in a word" && what !== "in a table") return;
    calls(match, [text(first), stop(reason)]);
    calls(CONTINUE_PROMPT, [text(second)]);
    expect(await streamed(question, ONE_SHOT)).toBe(first + second);
  });

  test("ends with length when claude does not complete it", async () => {
    calls(/never ends/, [text("more and "), stop("max_tokens")]);
    const [content, reason] = await unstreamed("never ends");
    expect([content, reason]).toEqual(["more and more and more and more and ", "length"]);
    calls(CONTINUE_PROMPT, [text("more and "), stop("max_tokens")]);
    expect((await unstreamed("never ends", ONE_SHOT))[1]).toBe("length");
    expect(await streamed("and now")).toBe("You said: and now");
  });
});

test("a blank line separates the text before and after a tool that has no hooks", async () => {
  const steps: Step[][] = [[text("Before."), toolUse("NoSuchTool", { a: 1 })], [text("After.")]];
  calls(/an unknown tool/, ...steps, ...steps);
  expect(await streamed("an unknown tool")).toBe("Before.\n\nAfter.");
  expect(await streamed("an unknown tool", ONE_SHOT)).toBe("Before.\n\nAfter.");
});

describe("a refusal", () => {
  test("is the answer, which ends with content_filter", async () => {
    calls(/refused at once|safety classifier/, [stop("refusal")]);
    const [content, reason] = await unstreamed("refused at once");
    expect([content, reason]).toEqual([expect.stringContaining("safeguards flagged"), "content_filter"]);
    expect(await unstreamed("refused at once", ONE_SHOT)).toEqual([
      expect.stringContaining("safeguards flagged"),
      "content_filter",
    ]);
  });

  test("in mid-sentence keeps the text before it", async () => {
    calls(/refused later/, [text("I would "), stop("refusal")]);
    const [content, reason] = await unstreamed("refused later");
    expect(content).toMatch(/^I would \n\nI would \n\n.*safeguards flagged/s);
    expect(reason).toBe("content_filter");
  });

  test("ends OpenClaw's answer with stop, since content_filter would fail its run", async () => {
    calls(/refused to OpenClaw/, [stop("refusal")]);
    const response = await world.server.post(ask("refused to OpenClaw", { stream: false }), {
      "x-openclaw-session-key": "agent:main:main",
    });
    expect(((await response.json()) as OpenAI.ChatCompletion).choices[0]).toMatchObject({
      finish_reason: "stop",
      message: { content: expect.stringContaining("safeguards flagged") },
    });
  });
});
