import { expect, test } from "bun:test";
import { COLUMNS, ROWS } from "../../../src/claude/interactive/screen.ts";
import { Viewers } from "../../../src/claude/interactive/viewers.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const RESIZED_MS = 300;
const MAX_RESIZED_MS = 10_000;
const RESIZED: [number, number] = [COLUMNS - 1, ROWS];
const RESTORED: [number, number] = [COLUMNS, ROWS];

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
  viewers.draw(bytes("the screen"));
  expect(sizes).toHaveLength(1);
  await clock.pass(RESIZED_MS);
  expect(sizes).toEqual([RESIZED, RESTORED]);
  viewers.draw(bytes("the screen again"));
  await clock.pass(MAX_RESIZED_MS);
  expect(sizes).toHaveLength(2);
});

test("a redraw keeps the changed size until a busy Claude Code has drawn, or for ten seconds", async () => {
  const { viewers, sizes, clock } = createViewers();
  viewers.redraw();
  await clock.pass(RESIZED_MS + 1000);
  expect(sizes).toEqual([RESIZED]);
  viewers.draw(bytes("the screen"));
  expect(sizes).toEqual([RESIZED, RESTORED]);

  viewers.redraw();
  await clock.pass(MAX_RESIZED_MS);
  expect(sizes).toEqual([RESIZED, RESTORED, RESIZED, RESTORED]);
});

test("the size is not changed again after the process has exited", async () => {
  const { viewers, sizes, clock } = createViewers();
  viewers.redraw();
  viewers.end();
  await clock.pass(MAX_RESIZED_MS);

  expect(sizes).toHaveLength(1);
});
