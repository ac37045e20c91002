/** The screen of a terminal, cut to fit into a smaller one. */
import { expect, test } from "bun:test";
import { createTerminalView } from "../../src/cli/terminal-view.ts";

async function viewOf(output: string, size = { columns: 20, rows: 5 }) {
  const view = createTerminalView(size);
  await view.write(Buffer.from(output));
  return view;
}

test("shows as many rows as are asked for", async () => {
  expect((await viewOf("one\r\ntwo")).lines(20, 3)).toEqual(["one", "two", ""]);
});

test("cuts off the right side and the upper rows", async () => {
  const view = await viewOf("first line\r\nsecond line\r\nthird line");
  expect(view.lines(6, 2)).toEqual(["second", "third"]);
});

test("follows the cursor movements of the original terminal", async () => {
  expect((await viewOf("one\r\ntwo\x1b[1;1Hnew")).lines(20, 2)).toEqual(["new", "two"]);
});

test("keeps colours and attributes, and resets them at the end of a line", async () => {
  expect((await viewOf("\x1b[1;31mred\x1b[0m plain \x1b[48;2;1;2;3mrgb")).lines(20, 1)).toEqual([
    "\x1b[0;1;38;5;1mred\x1b[0m plain \x1b[0;48;2;1;2;3mrgb\x1b[0m",
  ]);
});

test("cuts off a wide character that fits only by half", async () => {
  expect((await viewOf("a日b")).lines(2, 1)).toEqual(["a"]);
  expect((await viewOf("a日b")).lines(3, 1)).toEqual(["a日"]);
});

test("passes no query or command on to the other terminal", async () => {
  expect((await viewOf("\x1b[6n\x1b]0;title\x07text")).lines(20, 1)).toEqual(["text"]);
});
