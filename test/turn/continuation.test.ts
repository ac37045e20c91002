/** The rest of an answer that a client has begun: what it has already is not sent again. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { withDeliveredAsHistory } from "../../src/conversation/delivered-input.ts";
import type { DeliveredExchange } from "../../src/intake/exchange.ts";
import { readInput } from "../../src/intake/input.ts";
import { withoutRepeatedStart } from "../../src/turn/continuation.ts";
import type { ResponsePart } from "../../src/turn/response-stream.ts";
import { parsedRequest } from "../support/parsed-request.ts";

async function* reply(...texts: string[]): AsyncGenerator<readonly ResponsePart[]> {
  for (const text of texts) yield [{ type: "text", text }];
  yield [{ type: "finish" }];
}
const sent = async (begun: string, ...texts: string[]) => {
  const parts = (await Array.fromAsync(withoutRepeatedStart(reply(...texts), begun))).flat();
  expect(parts.at(-1)).toEqual({ type: "finish" });
  return parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
};

describe("an answer to what was begun", () => {
  const cases: [what: string, begun: string, texts: string[], sent: string[]][] = [
    ["is sent as it comes", "Once upon a", [" time", " there was"], [" time", " there was"]],
    ["loses what it repeats", "Once upon a", ["Once upon a time", " there"], [" time", " there"]],
    ["loses what it repeats in pieces", "Once upon a", ["On", "ce up", "on", " a time"], [" time"]],
    ["loses what it repeats, up to a seam", "Once", ["Once", " upon"], [" upon"]],
    ["loses blanks that were there", "Once \n", ["Once", "  upon"], ["upon"]],
    ["loses blanks that were there and come late", "Once ", ["Once", " ", "upon"], ["upon"]],
    ["keeps blanks that were not there", "Once", ["Once\nupon"], ["\nupon"]],
    ["is given back when it only begins alike", "Once upon", ["Once", " more"], ["Once more"]],
    ["is given back when it ends too soon", "Once upon", ["Once"], ["Once"]],
    ["may be nothing", "Once", ["Once"], []],
    ["may be of JSON", '{"a":', ['{"a": 1}'], [" 1}"]],
    ["is cut once", "ha", ["ha", "ha", "ha"], ["ha", "ha"]],
  ];
  test.each(cases)("%s", async (_what, begun, texts, expected) => {
    expect(await sent(begun, ...texts)).toEqual(expected);
  });

  test("property: how it is cut into pieces does not matter, and only a repetition is left out", async () => {
    const pieces = fc.array(fc.string({ unit: fc.constantFrom("a", "b", " "), maxLength: 4 }), { maxLength: 6 });
    const begun = fc.string({ unit: fc.constantFrom("a", "b", " "), minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(begun, pieces, async (begun, texts) => {
        fc.pre(begun.trim() !== "");
        const whole = texts.join("");
        const rest = whole.startsWith(begun.trimEnd()) ? whole.slice(begun.trimEnd().length) : whole;
        const isCut = rest !== whole && begun !== begun.trimEnd();
        expect((await sent(begun, ...texts)).join("")).toBe(isCut ? rest.trimStart() : rest);
      }),
    );
  });

  test("shows at once what is done on the way, and lets go of what it held when the answer ends", async () => {
    const parts: (readonly ResponsePart[])[] = [
      [{ type: "text", text: "On" }],
      [{ type: "progress", text: "looking" }],
      [{ type: "calls", calls: [] }],
    ];
    const seen = await Array.fromAsync(
      withoutRepeatedStart(
        (async function* () {
          yield* parts;
        })(),
        "Once",
      ),
    );
    expect(seen).toEqual([
      [{ type: "progress", text: "looking" }],
      [
        { type: "text", text: "On" },
        { type: "calls", calls: [] },
      ],
    ]);
  });
});

describe("the message that a begun answer is to", () => {
  const user = (content: string) => ({ role: "user", content });
  const assistant = (content: string) => ({ role: "assistant", content });
  const read = (...messages: object[]) => readInput(parsedRequest({ messages }));
  const delivered = (...turns: object[][]): DeliveredExchange[] =>
    turns.map((messages, at) => {
      const noted = { users: read(...messages).newFingerprints, answer: null };
      return { ...noted, turn: `${at}`, answered: true, noted };
    });
  const cases: [what: string, turns: object[][], messages: object[], isHistory: boolean][] = [
    ["is history when Claude was sent it last", [[user("one")]], [user("one"), assistant("a")], true],
    [
      "is history in a later turn",
      [[user("one")], [user("two")]],
      [user("one"), assistant("a"), user("two"), assistant("b")],
      true,
    ],
    ["is history without what was before it", [[user("one")], [user("two")]], [user("two"), assistant("b")], true],
    ["is new otherwise", [[user("one")]], [user("one"), assistant("a"), user("two"), assistant("b")], false],
    ["is new when nothing was sent", [], [user("one"), assistant("a")], false],
    [
      "is new when the same words were sent before",
      [[user("one")], [user("yes")]],
      [user("one"), assistant("a"), user("yes"), assistant("b"), user("yes"), assistant("c")],
      false,
    ],
    ["stays new when there is no begun answer", [[user("one")]], [user("one")], false],
  ];
  test.each(cases)("%s", (_what, turns, messages, isHistory) => {
    const input = read(...messages);
    const now = withDeliveredAsHistory(delivered(...turns), input);
    expect(now.messages).toHaveLength(isHistory ? 0 : 1);
    expect([...now.historyFingerprints, ...now.newFingerprints]).toEqual([
      ...input.historyFingerprints,
      ...input.newFingerprints,
    ]);
    expect(now.history.flatMap(({ fingerprints }) => fingerprints)).toEqual([...now.historyFingerprints]);
  });
});
