/** The text of an answer, assembled from deltas in any order of arrival. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { REPEATED } from "../../src/claude/repeated-answer.ts";
import {
  type Answer,
  addNote,
  afterStop,
  afterTool,
  appendDelta,
  awaitsJoin,
  completeAnswer,
  type Delta,
  emptyAnswer,
  isWhole,
  join,
} from "../../src/turn/text-assembler.ts";

const delta = (message: string, index: number, text: string, final = false): Delta => ({ message, index, text, final });

/** Appends the deltas, and decides for each message that waits how it starts. @returns also what each step released */
function feed(deltas: readonly Delta[], isContinuation = false): [Answer, string[]] {
  let answer = emptyAnswer;
  const out: string[] = [];
  for (const one of deltas) {
    let text: string;
    [answer, text] = appendDelta(answer, one);
    while (awaitsJoin(answer)) {
      let more: string;
      [answer, more] = join(answer, isContinuation);
      text += more;
    }
    out.push(text);
  }
  return [answer, out];
}

describe("an answer releases", () => {
  const cases: [what: string, deltas: Delta[], out: string[]][] = [
    ["deltas as they arrive", [delta("a", 0, "one\n"), delta("a", 1, "two", true)], ["one\n", "two"]],
    ["deltas in the order of their indexes", [delta("a", 1, "two", true), delta("a", 0, "one\n")], ["", "one\ntwo"]],
    [
      "each delta once",
      [delta("a", 0, "one"), delta("a", 0, "one"), delta("a", 2, "x"), delta("a", 2, "x")],
      ["one", "", "", ""],
    ],
    ["a blank line between two messages", [delta("a", 0, "one", true), delta("b", 0, "two", true)], ["one", "\n\ntwo"]],
    [
      "one blank line, however the message before it ends",
      [delta("a", 0, "one\n", true), delta("b", 0, "two\n\n", true), delta("c", 0, "three", true)],
      ["one\n", "\ntwo\n\n", "three"],
    ],
    [
      "no message before the one before it is complete",
      [delta("a", 0, "one"), delta("b", 0, "two", true), delta("a", 1, "!", true)],
      ["one", "", "!\n\ntwo"],
    ],
    [
      "nothing for a message without text",
      [delta("a", 0, "", true), delta("b", 0, "two", true), delta("c", 0, "", true)],
      ["", "two", ""],
    ],
  ];
  test.each(cases)("%s", (_what, deltas, out) => {
    expect(feed(deltas)[1]).toEqual(out);
  });

  test("what only the transcript has as a paragraph of its own after a note", () => {
    const [noted] = addNote(emptyAnswer, "[note]");
    expect(completeAnswer(noted, ["one", "two"], "two")[1]).toBe("\n\none\n\ntwo");
    expect(completeAnswer(noted, [], "")[1]).toBe("");
    const [begun] = feed([delta("a", 0, "one", true)]);
    const [between] = addNote(begun, "[note]");
    expect(completeAnswer(between, ["one", "two"], "two")[1]).toBe("\n\ntwo");
  });

  test("a note as a paragraph that is not part of Claude's text", () => {
    const [begun, first] = appendDelta(emptyAnswer, delta("a", 0, "one", true));
    const [noted, note] = addNote(begun, "[note]");
    const [answer, second] = appendDelta(noted, delta("b", 0, "two", true));
    expect([first, note, second]).toEqual(["one", "\n\n[note]", "\n\ntwo"]);
    expect(answer.text).toBe("one\n\ntwo");
  });
});

describe("a message in which the model was cut off", () => {
  const cases: [what: string, first: string, second: string, whole: string][] = [
    ["in a word", "a uni", "corn\n", "a unicorn\n"],
    ["after a space", "one ", "two", "one two"],
    ["after a line", "- one\n", "- two", "- one\n- two"],
    ["after a blank line", "one\n\n", "two", "one\n\ntwo"],
    ["in a code fence", "```js\nconst a = 1;\ncon", "st b = 2;\n```", "```js\nconst a = 1;\nconst b = 2;\n```"],
    ["in a table's row", "| a | b |\n|---|---|\n| 1 ", "| 2 |\n", "| a | b |\n|---|---|\n| 1 | 2 |\n"],
    ["before a space", "one", " two", "one two"],
  ];
  test.each(cases)("is continued without a blank line: %s", (_what, first, second, whole) => {
    const [answer, out] = feed([delta("a", 0, first, true), delta("b", 0, second, true)], true);
    expect(out.join("")).toBe(whole);
    expect(isWhole(answer, second.trim())).toBe(true);
    expect(completeAnswer(answer, [whole], second.trim()).slice(1)).toEqual(["", false]);
  });

  test("holds the next message until the transcript shows how it starts", () => {
    const [first] = appendDelta(emptyAnswer, delta("a", 0, "uni", true));
    const [second, held] = appendDelta(first, delta("b", 0, "corn", true));
    expect([held, awaitsJoin(second), isWhole(second, "corn"), isWhole(second, undefined)]).toEqual([
      "",
      true,
      false,
      false,
    ]);
    expect(join(second, true)[1]).toBe("corn");
    expect(completeAnswer(second, ["unicorn"], "corn")[1]).toBe("corn");
    expect(completeAnswer(second, null, "corn")[1]).toBe("\n\ncorn");
  });

  test.each([
    ["a tool", afterTool],
    ["a stop", afterStop],
    ["a note", (answer: Answer) => addNote(answer, "[note]")[0]],
  ] as const)("does not hold the next message after %s", (_what, between) => {
    const [first] = appendDelta(emptyAnswer, delta("a", 0, "one", true));
    expect(appendDelta(between(first), delta("b", 0, "two", true))[1]).toBe("\n\ntwo");
  });
});

describe("an answer at Stop", () => {
  const whole = feed([delta("a", 0, "one", true), delta("b", 0, "two\n", true)])[0];
  const cases: [what: string, answer: Answer, last: string | undefined, expected: boolean][] = [
    ["is whole when it ends with Claude's last text", whole, "two", true],
    [
      "is whole when its last message ends with Claude's last text",
      feed([delta("a", 0, "okLine two\n", true)])[0],
      "Line two",
      true,
    ],
    ["is whole when Claude ended without a text", whole, undefined, true],
    ["is not whole while a message lacks deltas", feed([delta("a", 0, "one")])[0], "one", false],
    ["is not whole while Claude's last text is missing", whole, "three", false],
    ["is not whole before its first delta", emptyAnswer, "one", false],
    ["is not whole when a tool ran after a text that equals the last one", afterTool(whole), "two", false],
  ];
  test.each(cases)("%s", (_what, answer, last, expected) => {
    expect(isWhole(answer, last)).toBe(expected);
  });
});

describe("completing an answer", () => {
  const open = appendDelta(afterTool(feed([delta("a", 0, "one\n")])[0]), delta("b", 0, "two", true))[0];
  const cases: [
    what: string,
    answer: Answer,
    texts: string[] | null,
    last: string | undefined,
    out: string,
    diverged: boolean,
  ][] = [
    ["fills a gap in an earlier message", open, ["one\nand a half", "two"], "two", "and a half\n\ntwo", false],
    ["releases a whole answer that no hook carried", emptyAnswer, ["one", "two"], "two", "one\n\ntwo", false],
    [
      "repeats the transcript's text, and says so, when it differs from the released text",
      open,
      ["eins", "zwei"],
      "zwei",
      `\n${REPEATED}eins\n\nzwei`,
      true,
    ],
    [
      "repeats the transcript's text from the first message that differs",
      feed([delta("a", 0, "one\n", true), delta("b", 0, "tw")])[0],
      ["one", "zwei", "three"],
      "three",
      `\n\n${REPEATED}zwei\n\nthree`,
      true,
    ],
    [
      "repeats the last message, and says so, when more was released",
      feed([delta("a", 0, "one\ntwo\n")])[0],
      ["one"],
      "one",
      `\n${REPEATED}one`,
      true,
    ],
    [
      "repeats nothing when the transcript lacks the last message",
      feed([delta("a", 0, "one\ntwo\n")])[0],
      ["one"],
      "three",
      "",
      true,
    ],
    [
      "repeats nothing when the last message is unknown and the transcript has less",
      feed([delta("a", 0, "one\ntwo\n")])[0],
      ["one"],
      undefined,
      "",
      true,
    ],
    [
      "repeats nothing when the different text was shown already",
      feed([delta("a", 0, "one", true), delta("b", 0, "zwei", true)])[0],
      ["zwei"],
      "zwei",
      "",
      true,
    ],
    [
      "continues the released text when only white space differs",
      feed([delta("a", 0, "one", true), delta("b", 0, "tw")])[0],
      ["one two three"],
      "one two three",
      "o three",
      true,
    ],
    ["without a transcript releases the held deltas", open, null, "two", "\ntwo", false],
    [
      "without a transcript releases the rest of the last text",
      feed([delta("a", 0, "one\n")])[0],
      null,
      "one\ntwo",
      "two",
      false,
    ],
    [
      "without a transcript releases a last text that no hook carried",
      feed([delta("a", 0, "one", true)])[0],
      null,
      "two",
      "\n\ntwo",
      false,
    ],
    [
      "without a transcript and a last text releases nothing",
      feed([delta("a", 0, "one", true)])[0],
      null,
      undefined,
      "",
      false,
    ],
  ];
  test.each(cases)("%s", (_what, answer, texts, last, out, diverged) => {
    expect(completeAnswer(answer, texts, last).slice(1)).toEqual([out, diverged]);
  });
});

/** Messages as lists of deltas. */
const messages = fc.array(
  fc.array(fc.string({ unit: fc.constantFrom("a", "b", "\n", " ", "é", "🙂"), maxLength: 6 }), {
    minLength: 1,
    maxLength: 5,
  }),
  { minLength: 1, maxLength: 4 },
);
const cut = (all: string[][]): Delta[] =>
  all.flatMap((texts, message) =>
    texts.map((text, index) => delta(`m${message}`, index, text, index === texts.length - 1)),
  );

test("property: deltas that arrive twice and in any order are released exactly once", () => {
  fc.assert(
    fc.property(
      messages.chain((all) => {
        const deltas = cut(all);
        return fc.tuple(
          fc.constant(all),
          fc.shuffledSubarray([...deltas, ...deltas], { minLength: deltas.length * 2 }),
        );
      }),
      ([all, deltas]) => {
        const [answer, out] = feed(deltas);
        const order = answer.messages.map(({ id }) => all[Number(id?.slice(1))]?.join("") ?? "");
        const expected = order.filter((text) => text !== "").reduce((text, next) => text + blankLine(text) + next, "");
        expect(out.join("")).toBe(expected);
        expect(answer.text).toBe(expected);
      },
    ),
  );
});

const blankLine = (text: string) => (text === "" || text.endsWith("\n\n") ? "" : text.endsWith("\n") ? "\n" : "\n\n");
