/** Tables at a terminal. */
import { expect, test } from "bun:test";
import { table } from "../../src/cli/table.ts";

test("a cell cannot leave its row or steer the terminal, and the columns stay in line", () => {
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
