/** The answer put together from pieces, in any order of arrival. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
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

const piece = (message: string, index: number, text: string, final = false): Delta => ({ message, index, text, final });

/** Feeds pieces, and says of each message that waits whether it continues the one before; what went out at each step. */
function feed(pieces: readonly Delta[], isSeam = false): [Answer, string[]] {
  let answer = emptyAnswer;
  const out: string[] = [];
  for (const one of pieces) {
    let text: string;
    [answer, text] = appendDelta(answer, one);
    while (awaitsJoin(answer)) {
      let more: string;
      [answer, more] = join(answer, isSeam);
      text += more;
    }
    out.push(text);
  }
  return [answer, out];
}

describe("pieces go out", () => {
  const cases: [what: string, pieces: Delta[], out: string[]][] = [
    ["as they come", [piece("a", 0, "one\n"), piece("a", 1, "two", true)], ["one\n", "two"]],
    ["in index order", [piece("a", 1, "two", true), piece("a", 0, "one\n")], ["", "one\ntwo"]],
    ["once", [piece("a", 0, "one"), piece("a", 0, "one"), piece("a", 2, "x"), piece("a", 2, "x")], ["one", "", "", ""]],
    [
      "with a blank line between messages",
      [piece("a", 0, "one", true), piece("b", 0, "two", true)],
      ["one", "\n\ntwo"],
    ],
    [
      "with one blank line, whatever the message ends with",
      [piece("a", 0, "one\n", true), piece("b", 0, "two\n\n", true), piece("c", 0, "three", true)],
      ["one\n", "\ntwo\n\n", "three"],
    ],
    [
      "no later message before an earlier one is complete",
      [piece("a", 0, "one"), piece("b", 0, "two", true), piece("a", 1, "!", true)],
      ["one", "", "!\n\ntwo"],
    ],
    [
      "with nothing for a message without text",
      [piece("a", 0, "", true), piece("b", 0, "two", true), piece("c", 0, "", true)],
      ["", "two", ""],
    ],
  ];
  test.each(cases)("%s", (_what, pieces, out) => {
    expect(feed(pieces)[1]).toEqual(out);
  });

  test("notes stand in paragraphs of their own and are not claude's text", () => {
    const [begun, first] = appendDelta(emptyAnswer, piece("a", 0, "one", true));
    const [noted, note] = addNote(begun, "[note]");
    const [answer, second] = appendDelta(noted, piece("b", 0, "two", true));
    expect([first, note, second]).toEqual(["one", "\n\n[note]", "\n\ntwo"]);
    expect(answer.text).toBe("one\n\ntwo");
  });
});

describe("a message that the model was cut in", () => {
  const cases: [what: string, first: string, second: string, whole: string][] = [
    ["in a word", "a uni", "corn\n", "a unicorn\n"],
    ["behind a space", "one ", "two", "one two"],
    ["behind a line", "- one\n", "- two", "- one\n- two"],
    ["behind a blank line", "one\n\n", "two", "one\n\ntwo"],
    ["in a code fence", "```js\nconst a = 1;\ncon", "st b = 2;\n```", "```js\nconst a = 1;\nconst b = 2;\n```"],
    ["in a table's row", "| a | b |\n|---|---|\n| 1 ", "| 2 |\n", "| a | b |\n|---|---|\n| 1 | 2 |\n"],
    ["before a space", "one", " two", "one two"],
  ];
  test.each(cases)("goes on with nothing in between: %s", (_what, first, second, whole) => {
    const [answer, out] = feed([piece("a", 0, first, true), piece("b", 0, second, true)], true);
    expect(out.join("")).toBe(whole);
    expect(isWhole(answer, second.trim())).toBe(true);
    expect(completeAnswer(answer, [whole], second.trim()).slice(1)).toEqual(["", false]);
  });

  test("waits until it is known", () => {
    const [first] = appendDelta(emptyAnswer, piece("a", 0, "uni", true));
    const [second, held] = appendDelta(first, piece("b", 0, "corn", true));
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
  ] as const)("is not asked about behind %s", (_what, between) => {
    const [first] = appendDelta(emptyAnswer, piece("a", 0, "one", true));
    expect(appendDelta(between(first), piece("b", 0, "two", true))[1]).toBe("\n\ntwo");
  });
});

describe("at Stop the answer is whole", () => {
  const whole = feed([piece("a", 0, "one", true), piece("b", 0, "two\n", true)])[0];
  const cases: [what: string, answer: Answer, last: string | undefined, expected: boolean][] = [
    ["when its end is claude's last text", whole, "two", true],
    ["when its end holds claude's last text", feed([piece("a", 0, "okLine two\n", true)])[0], "Line two", true],
    ["when claude ended in silence", whole, undefined, true],
    ["not while a message is open", feed([piece("a", 0, "one")])[0], "one", false],
    ["not while claude's last text is missing", whole, "three", false],
    ["not when nothing came", emptyAnswer, "one", false],
    ["not when a tool ran since: the same text again is another message", afterTool(whole), "two", false],
  ];
  test.each(cases)("%s", (_what, answer, last, expected) => {
    expect(isWhole(answer, last)).toBe(expected);
  });
});

describe("the transcript completes it", () => {
  const open = appendDelta(afterTool(feed([piece("a", 0, "one\n")])[0]), piece("b", 0, "two", true))[0];
  const cases: [
    what: string,
    answer: Answer,
    texts: string[] | null,
    last: string | undefined,
    out: string,
    diverged: boolean,
  ][] = [
    ["with a gap in an earlier message", open, ["one\nand a half", "two"], "two", "and a half\n\ntwo", false],
    ["with all of it", emptyAnswer, ["one", "two"], "two", "one\n\ntwo", false],
    ["not when it tells another story", open, ["eins", "zwei"], "zwei", "", true],
    ["without it: with what we hold", open, null, "two", "\ntwo", false],
    ["without it: with the rest of the last text", feed([piece("a", 0, "one\n")])[0], null, "one\ntwo", "two", false],
    ["without it: with the last text", feed([piece("a", 0, "one", true)])[0], null, "two", "\n\ntwo", false],
    ["without it: with nothing", feed([piece("a", 0, "one", true)])[0], null, undefined, "", false],
  ];
  test.each(cases)("%s", (_what, answer, texts, last, out, diverged) => {
    expect(completeAnswer(answer, texts, last).slice(1)).toEqual([out, diverged]);
  });
});

/** Messages cut into pieces. */
const messages = fc.array(
  fc.array(fc.string({ unit: fc.constantFrom("a", "b", "\n", " ", "é", "🙂"), maxLength: 6 }), {
    minLength: 1,
    maxLength: 5,
  }),
  { minLength: 1, maxLength: 4 },
);
const cut = (all: string[][]): Delta[] =>
  all.flatMap((texts, message) =>
    texts.map((text, index) => piece(`m${message}`, index, text, index === texts.length - 1)),
  );

test("property: in any order of arrival, doubled, every piece goes out exactly once", () => {
  fc.assert(
    fc.property(
      messages.chain((all) => {
        const pieces = cut(all);
        return fc.tuple(
          fc.constant(all),
          fc.shuffledSubarray([...pieces, ...pieces], { minLength: pieces.length * 2 }),
        );
      }),
      ([all, pieces]) => {
        const [answer, out] = feed(pieces);
        const order = answer.messages.map(({ id }) => all[Number(id?.slice(1))]?.join("") ?? "");
        const expected = order.filter((text) => text !== "").reduce((text, next) => text + blankLine(text) + next, "");
        expect(out.join("")).toBe(expected);
        expect(answer.text).toBe(expected);
      },
    ),
  );
});

const blankLine = (text: string) => (text === "" || text.endsWith("\n\n") ? "" : text.endsWith("\n") ? "\n" : "\n\n");
