/**
 * Shows the terminal of a Claude Code in another terminal, which may be smaller. The output is first drawn in a headless
 * terminal of the original size, because its cursor movements depend on the size, and because its queries and commands
 * must not reach the other terminal.
 */
import { Terminal } from "@xterm/headless";
import { runsOf } from "../claude/interactive/screen-runs.ts";
import type { ScreenRun } from "../wire/screen-rows.ts";

export interface TerminalView {
  /** Draws output of Claude Code. Resolves when it is drawn. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * The part of the screen that fits into this many columns and rows: one string per row, with its colours. The right
   * side and the upper rows are cut off, because Claude Code writes at the bottom.
   */
  lines(columns: number, rows: number): string[];
}

/** @param size of the original terminal */
export function createTerminalView(size: { readonly columns: number; readonly rows: number }): TerminalView {
  const terminal = new Terminal({ cols: size.columns, rows: size.rows, scrollback: 0, allowProposedApi: true });
  return {
    write: (bytes) => new Promise((resolve) => terminal.write(bytes, resolve)),
    lines: (columns, rows) => {
      const all = Array.from({ length: size.rows }, (_, row) => lineOf(runsOf(terminal, row, columns)));
      const used = all.findLastIndex((line) => line !== "") + 1;
      const first = Math.max(0, used - rows);
      return Array.from({ length: rows }, (_, row) => all[first + row] ?? "");
    },
  };
}

/** A row with SGR sequences. It ends without a style. */
function lineOf(runs: readonly ScreenRun[]): string {
  let line = "";
  let style = "";
  for (const run of runs) {
    const next = parametersOf(run);
    line += next === style ? run.text : `\x1b[0${next}m${run.text}`;
    style = next;
  }
  return style === "" ? line : `${line}\x1b[0m`;
}

/** The attributes and colours of a piece, as the parameters of an SGR sequence after its leading 0. */
function parametersOf({ bold, dim, italic, underline, inverse, strike, fg, bg }: ScreenRun): string {
  const attributes: [boolean | undefined, number][] = [
    [bold, 1],
    [dim, 2],
    [italic, 3],
    [underline, 4],
    [inverse, 7],
    [strike, 9],
  ];
  const set = attributes.flatMap(([isSet, code]) => (isSet ? `;${code}` : []));
  return [...set, colour(38, fg), colour(48, bg)].join("");
}

function colour(kind: 38 | 48, value: number | string | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "number") return `;${kind};5;${value}`;
  const rgb = Number.parseInt(value.slice(1), 16);
  return `;${kind};2;${rgb >> 16};${(rgb >> 8) & 255};${rgb & 255}`;
}
