/** The rest of an answer that the client has begun, without the text that the client has already. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ResponsePart } from "../../src/core/response-part.ts";
import { withoutPrefillEcho } from "../../src/turn/prefill-echo.ts";

async function* answer(...texts: string[]): AsyncGenerator<readonly ResponsePart[]> {
  for (const text of texts) yield [{ type: "text", text }];
  yield [{ type: "finish" }];
}
const sent = async (begun: string, ...texts: string[]) => {
  const parts = (await Array.fromAsync(withoutPrefillEcho(answer(...texts), begun))).flat();
  expect(parts.at(-1)).toEqual({ type: "finish" });
  return parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
};

describe("an answer that the client has begun", () => {
  const cases: [what: string, begun: string, texts: string[], sent: string[]][] = [
    ["is sent as it arrives", "Once upon a", [" time", " there was"], [" time", " there was"]],
    ["loses the text that it repeats", "Once upon a", ["Once upon a time", " there"], [" time", " there"]],
    ["loses a repetition that arrives in parts", "Once upon a", ["On", "ce up", "on", " a time"], [" time"]],
    ["loses a repetition that ends with a part", "Once", ["Once", " upon"], [" upon"]],
    ["loses blanks that the client has", "Once \n", ["Once", "  upon"], ["upon"]],
    ["loses blanks that the client has and that arrive late", "Once ", ["Once", " ", "upon"], ["upon"]],
    ["keeps blanks that the client does not have", "Once", ["Once\nupon"], ["\nupon"]],
    ["is sent whole when only its beginning is the same", "Once upon", ["Once", " more"], ["Once more"]],
    ["is sent whole when it ends before the repetition is complete", "Once upon", ["Once"], ["Once"]],
    ["may be empty", "Once", ["Once"], []],
    ["may be JSON", '{"a":', ['{"a": 1}'], [" 1}"]],
    ["loses only the first repetition", "ha", ["ha", "ha", "ha"], ["ha", "ha"]],
  ];
  test.each(cases)("%s", async (_what, begun, texts, expected) => {
    expect(await sent(begun, ...texts)).toEqual(expected);
  });

  test("property: the parts of an answer do not matter, and only a repetition is left out", async () => {
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

  test("sends progress at once, and held text when the answer ends", async () => {
    const parts: (readonly ResponsePart[])[] = [
      [{ type: "text", text: "On" }],
      [{ type: "progress", text: "looking" }],
      [{ type: "calls", calls: [] }],
    ];
    const seen = await Array.fromAsync(
      withoutPrefillEcho(
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
