/**
 * Shows the terminal of a Claude Code in another terminal, which may be smaller. The output is first drawn in a headless
 * terminal of the original size, because its cursor movements depend on the size, and because its queries and commands
 * must not reach the other terminal.
 */
import { type IBufferCell, Terminal } from "@xterm/headless";

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
  const lineAt = (row: number, columns: number): string => {
    const line = terminal.buffer.active.getLine(terminal.buffer.active.viewportY + row);
    let text = "";
    let style = "";
    for (let column = 0; line && column < Math.min(columns, size.columns); column += 1) {
      const cell = line.getCell(column);
      // The right half of a wide character is an empty cell. A wide character that fits only by half is cut off.
      if (!cell || cell.getWidth() === 0) continue;
      if (column + cell.getWidth() > columns) break;
      const cellStyle = styleOf(cell);
      if (cellStyle !== style) text += `\x1b[0${cellStyle}m`;
      style = cellStyle;
      text += cell.getChars() || " ";
    }
    return style === "" ? text.trimEnd() : `${text}\x1b[0m`;
  };
  return {
    write: (bytes) => new Promise((resolve) => terminal.write(bytes, resolve)),
    lines: (columns, rows) => {
      const all = Array.from({ length: size.rows }, (_, row) => lineAt(row, columns));
      const used = all.findLastIndex((line) => line !== "") + 1;
      const first = Math.max(0, used - rows);
      return Array.from({ length: rows }, (_, row) => all[first + row] ?? "");
    },
  };
}

/** The attributes and colours of a cell, as the parameters of an SGR sequence after its leading 0. */
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
