/** Tables for a terminal. */
import { expect, test } from "bun:test";
import { table } from "../../src/cli/format.ts";

test("control characters in a cell are shown, and the columns stay aligned", () => {
  expect(
    table(
      ["A", "B"],
      [
        ["x\n\x1b[2Jy", "1"],
        ["ok", "2"],
      ],
    ).split("\n"),
  ).toEqual(["A                      B", "x⟨U+000A⟩⟨U+001B⟩[2Jy  1", "ok                     2"]);
});
