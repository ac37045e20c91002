import { expect, test } from "bun:test";
import { COLUMNS, ROWS } from "../../../src/claude/interactive/screen.ts";
import { Viewers } from "../../../src/claude/interactive/viewers.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const RESIZED_MS = 300;

function createViewers() {
  const sizes: [columns: number, rows: number][] = [];
  const clock = new ManualClock();
  return { viewers: new Viewers((columns, rows) => sizes.push([columns, rows]), clock), sizes, clock };
}
const createViewer = () => {
  const drawn: string[] = [];
  return {
    drawn,
    draw: (bytes: Uint8Array) => drawn.push(new TextDecoder().decode(bytes)),
    end: () => drawn.push("end"),
  };
};
const bytes = (text: string) => new TextEncoder().encode(text);

test("each viewer gets the output until it leaves, and then the end of the process", () => {
  const { viewers } = createViewers();
  const [first, second] = [createViewer(), createViewer()];
  const leave = viewers.add(first);
  viewers.add(second);
  viewers.draw(bytes("a"));
  expect(leave()).toBe(1);
  viewers.draw(bytes("b"));
  viewers.end();

  expect([first.drawn, second.drawn]).toEqual([["a"], ["a", "b", "end"]]);
});

test("a redraw changes the size of the terminal for a moment", async () => {
  const { viewers, sizes, clock } = createViewers();
  viewers.redraw();
  expect(sizes).toEqual([[COLUMNS - 1, ROWS]]);
  await clock.pass(RESIZED_MS);

  expect(sizes.at(-1)).toEqual([COLUMNS, ROWS]);
});

test("the size is not changed again after the process has exited", async () => {
  const { viewers, sizes, clock } = createViewers();
  viewers.redraw();
  viewers.end();
  await clock.pass(RESIZED_MS);

  expect(sizes).toHaveLength(1);
});
