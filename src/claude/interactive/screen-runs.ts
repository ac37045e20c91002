/** The rows of a terminal as pieces of one style each, for a viewer that draws them in its own way. */
import type { IBufferCell, Terminal } from "@xterm/headless";
import type { ScreenRun } from "../../wire/screen-rows.ts";

/**
 * A row. What is not drawn at its end is left out.
 * @param columns cuts the row off there; a wide character that fits only by half is left out
 */
export function runsOf(terminal: Terminal, row: number, columns = terminal.cols): ScreenRun[] {
  const { active } = terminal.buffer;
  const line = active.getLine(active.viewportY + row);
  const runs: { style: string; run: ScreenRun }[] = [];
  for (let column = 0; line && column < Math.min(columns, terminal.cols); column += 1) {
    const cell = line.getCell(column);
    // The right half of a wide character is an empty cell.
    if (!cell || cell.getWidth() === 0) continue;
    if (column + cell.getWidth() > columns) break;
    const text = cell.isInvisible() ? " ".repeat(cell.getWidth()) : cell.getChars() || " ";
    const style = styleOf(cell);
    const key = JSON.stringify(style);
    const last = runs.at(-1);
    if (last?.style === key) last.run = { ...last.run, text: last.run.text + text };
    else runs.push({ style: key, run: { text, ...style } });
  }
  const last = runs.at(-1);
  if (last?.style === "{}") {
    runs.pop();
    const text = last.run.text.trimEnd();
    if (text !== "") runs.push({ style: last.style, run: { text } });
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
