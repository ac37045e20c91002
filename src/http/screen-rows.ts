/**
 * Streams the rows of Claude Code's terminal to a page, for `GET /v1/sessions/{key}/screen/rows`. The output is drawn in a
 * headless terminal here, so that the page needs none, and only rows that have changed are sent.
 */
import { Terminal } from "@xterm/headless";
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { AgentProcess } from "../claude/agent-process.ts";
import { COLUMNS, ROWS } from "../claude/interactive/screen.ts";
import { runsOf } from "../claude/interactive/screen-runs.ts";
import type { ScreenRowsEvent } from "../wire/screen-rows.ts";
import type { Env } from "./env.ts";
import { viewerEvents } from "./viewer-events.ts";

/** Between two updates, in ms. People do not see more, and Claude Code redraws its spinner many times a second. */
const UPDATE_MS = 100;

/**
 * A response that shows the rows until the process exits, or the viewer disconnects.
 * @param ended aborted when the page has signed out; null for a viewer that cannot
 */
export function screenRows(c: Context<Env>, process: AgentProcess, ended: AbortSignal | null): Response {
  return streamSSE(c, async (stream) => {
    const terminal = new Terminal({ cols: COLUMNS, rows: ROWS, scrollback: 0, allowProposedApi: true });
    const events = viewerEvents(c, stream);
    const send = (event: ScreenRowsEvent) => events.send(event);
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
      events.end();
      stopShowing();
      ended?.removeEventListener("abort", end);
      terminal.dispose();
    }
  });
}
