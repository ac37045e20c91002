/** Formats text for a terminal: tables, times, and lines of a limited width. */
import { visibleLine } from "../core/visible-text.ts";

/** A table with a line for the titles and for each row. Two spaces separate the columns. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  // A line break in a cell would look like another row.
  const all = [titles, ...rows.map((row) => row.map(visibleLine))];
  const widths = titles.map((_title, at) => Math.max(...all.map((row) => Bun.stringWidth(row[at] ?? ""))));
  const cell = (text: string, at: number) => text + " ".repeat((widths[at] ?? 0) - Bun.stringWidth(text));
  return all.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}

/** `2026-11-22 04:48:41`, in the local time. */
export function time(ms: number): string {
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace("T", " ");
}

/** A duration such as `1.2 s`; a dash when its end is not known. @param from in ms @param to in ms */
export const seconds = (from: number, to: number | null): string =>
  to === null ? "–" : `${((to - from) / 1000).toFixed(1)} s`;

/** The beginning of a text, cut to this many columns. */
export function clip(text: string, columns: number): string {
  let clipped = "";
  for (const character of text) {
    if (Bun.stringWidth(clipped + character) > columns) break;
    clipped += character;
  }
  return clipped;
}
