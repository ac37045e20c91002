/**
 * Streams the rows of Claude Code's terminal to a page, for `GET /v1/sessions/{key}/screen/rows`. The output is drawn in a
 * headless terminal here, so that the page needs none, and only rows that have changed are sent.
 */
import { type IBufferCell, Terminal } from "@xterm/headless";
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { AgentProcess } from "../claude/agent-process.ts";
import { COLUMNS, ROWS } from "../claude/interactive/screen.ts";
import type { ScreenRowsEvent, ScreenRun } from "../wire/screen-rows.ts";
import type { Env } from "./env.ts";
import { restoreIdleTimeout } from "./idle-timeout.ts";

/** Between two updates, in ms. People do not see more, and Claude Code redraws its spinner many times a second. */
const UPDATE_MS = 100;
/** Between two comments that show that the server lives, in ms. */
const HEARTBEAT_MS = 15_000;

/**
 * A response that shows the rows until the process exits, or the viewer disconnects.
 * @param ended aborted when the page has signed out; null for a viewer that cannot
 */
export function screenRows(c: Context<Env>, process: AgentProcess, ended: AbortSignal | null): Response {
  return streamSSE(c, async (stream) => {
    const terminal = new Terminal({ cols: COLUMNS, rows: ROWS, scrollback: 0, allowProposedApi: true });
    let isWriting = false;
    const send = async (event: ScreenRowsEvent) => {
      isWriting = true;
      await stream.writeSSE({ data: JSON.stringify(event) });
      isWriting = false;
    };
    const heartbeat = setInterval(() => {
      if (!isWriting) void stream.write(": \n\n");
      // The viewer has stopped reading, since the last write is still waiting. Let Bun close the connection.
      else c.env.server.timeout(c.req.raw, 1);
    }, HEARTBEAT_MS);
    let hasExited = false;
    let isOver = false;
    let wake = () => {};
    const end = () => {
      isOver = true;
      wake();
    };
    const stopShowing = process.show({
      draw: (bytes) => terminal.write(bytes, () => wake()),
      end: () => {
        hasExited = true;
        // What was drawn last is still on its way through the terminal.
        terminal.write("", end);
      },
    });
    stream.onAbort(end);
    ended?.addEventListener("abort", end);
    let drawn: string[] = Array(ROWS).fill("[]");
    try {
      await send({ type: "size", columns: COLUMNS, rows: ROWS });
      while (!ended?.aborted) {
        const changed = Promise.withResolvers<void>();
        wake = changed.resolve;
        const rows = Array.from({ length: ROWS }, (_, row) => runsOf(terminal, row));
        const texts = rows.map((runs) => JSON.stringify(runs));
        const differing = rows.flatMap((runs, row) => (texts[row] === drawn[row] ? [] : [{ row, runs }]));
        drawn = texts;
        if (differing.length > 0) await send({ type: "rows", changed: differing });
        if (isOver) break;
        await Promise.all([Bun.sleep(UPDATE_MS), changed.promise]);
      }
      if (hasExited) await send({ type: "end" });
    } finally {
      clearInterval(heartbeat);
      stopShowing();
      ended?.removeEventListener("abort", end);
      terminal.dispose();
      restoreIdleTimeout(c);
    }
  });
}

/** A row as runs of one style each. What is not drawn at its end is left out. */
function runsOf(terminal: Terminal, row: number): ScreenRun[] {
  const { active } = terminal.buffer;
  const line = active.getLine(active.viewportY + row);
  const runs: { style: string; run: ScreenRun }[] = [];
  for (let column = 0; line && column < terminal.cols; column += 1) {
    const cell = line.getCell(column);
    // The right half of a wide character is an empty cell.
    if (!cell || cell.getWidth() === 0) continue;
    const text = cell.isInvisible() ? " ".repeat(cell.getWidth()) : cell.getChars() || " ";
    const style = styleOf(cell);
    const key = JSON.stringify(style);
    const last = runs.at(-1);
    if (last?.style === key) last.run = { ...last.run, text: last.run.text + text };
    else runs.push({ style: key, run: { text, ...style } });
  }
  while (runs.at(-1)?.style === "{}") {
    const last = runs.pop() as (typeof runs)[number];
    const text = last.run.text.trimEnd();
    if (text === "") continue;
    runs.push({ style: last.style, run: { text } });
    break;
  }
  return runs.map(({ run }) => run);
}

function styleOf(cell: IBufferCell): Omit<ScreenRun, "text"> {
  return {
    ...(cell.isFgDefault() ? {} : { fg: colour(cell.isFgRGB(), cell.getFgColor()) }),
    ...(cell.isBgDefault() ? {} : { bg: colour(cell.isBgRGB(), cell.getBgColor()) }),
    ...(cell.isBold() ? { bold: true } : {}),
    ...(cell.isDim() ? { dim: true } : {}),
    ...(cell.isItalic() ? { italic: true } : {}),
    ...(cell.isUnderline() ? { underline: true } : {}),
    ...(cell.isInverse() ? { inverse: true } : {}),
    ...(cell.isStrikethrough() ? { strike: true } : {}),
  };
}

const colour = (isRgb: boolean, value: number): number | string =>
  isRgb ? `#${value.toString(16).padStart(6, "0")}` : value;
