/**
 * claude's terminal as a picture that fits into another one. What claude writes is drawn here first: its cursor
 * moves count on a terminal of its own size, and its questions and commands to the terminal are for no other.
 */
import { type IBufferCell, Terminal } from "@xterm/headless";

export interface TerminalView {
  /** Draws what claude has written; resolves when that is done. */
  draw(bytes: Uint8Array): Promise<void>;
  /**
   * What is to be seen in so many columns and rows, a line per row with its colours. When not all of it fits in,
   * the right side is missing, and the upper rows: claude writes below.
   */
  lines(columns: number, rows: number): string[];
}

/** @param size of claude's terminal */
export function createTerminalView(size: { readonly columns: number; readonly rows: number }): TerminalView {
  const terminal = new Terminal({ cols: size.columns, rows: size.rows, scrollback: 0, allowProposedApi: true });
  const lineAt = (row: number, columns: number): string => {
    const line = terminal.buffer.active.getLine(terminal.buffer.active.viewportY + row);
    let text = "";
    let style = "";
    for (let column = 0; line && column < Math.min(columns, size.columns); column += 1) {
      const cell = line.getCell(column);
      // The right half of a wide character is no cell of its own; a left half alone does not fit in.
      if (!cell || cell.getWidth() === 0) continue;
      if (column + cell.getWidth() > columns) break;
      const wanted = styleOf(cell);
      if (wanted !== style) text += `\x1b[0${wanted}m`;
      style = wanted;
      text += cell.getChars() || " ";
    }
    return style === "" ? text.trimEnd() : `${text}\x1b[0m`;
  };
  return {
    draw: (bytes) => new Promise((drawn) => terminal.write(bytes, drawn)),
    lines: (columns, rows) => {
      const all = Array.from({ length: size.rows }, (_, row) => lineAt(row, columns));
      const used = all.findLastIndex((line) => line !== "") + 1;
      const first = Math.max(0, used - rows);
      return Array.from({ length: rows }, (_, row) => all[first + row] ?? "");
    },
  };
}

/** A cell's colours and attributes, as they stand behind the 0 of an SGR sequence. */
function styleOf(cell: IBufferCell): string {
  const attributes: [number, number][] = [
    [cell.isBold(), 1],
    [cell.isDim(), 2],
    [cell.isItalic(), 3],
    [cell.isUnderline(), 4],
    [cell.isInverse(), 7],
    [cell.isInvisible(), 8],
    [cell.isStrikethrough(), 9],
  ];
  const set = attributes.flatMap(([isSet, code]) => (isSet ? `;${code}` : []));
  return [
    ...set,
    ...(cell.isFgDefault() ? [] : [colour(38, cell.isFgRGB(), cell.getFgColor())]),
    ...(cell.isBgDefault() ? [] : [colour(48, cell.isBgRGB(), cell.getBgColor())]),
  ].join("");
}

const colour = (kind: 38 | 48, isRgb: boolean, value: number): string =>
  isRgb ? `;${kind};2;${value >> 16};${(value >> 8) & 255};${value & 255}` : `;${kind};5;${value}`;
