/**
 * What a person would see on claude's terminal. claude draws with absolute cursor moves and without
 * the spaces between words, so its dialogs can be read from the rendered screen only.
 */
import { Terminal } from "@xterm/headless";

/** At 20×5 claude's dialogs wrap; at this size they do not. */
export const COLUMNS = 120;
export const ROWS = 40;

export interface Screen {
  /** Takes bytes from the PTY; they are drawn a little later, and then `drawn` is called. */
  write(bytes: Uint8Array, drawn?: () => void): void;
  /** The visible text, a line per row, without trailing blanks. */
  text(): string;
  dispose(): void;
}

export function createScreen(columns = COLUMNS, rows = ROWS): Screen {
  const terminal = new Terminal({ cols: columns, rows, scrollback: 0, allowProposedApi: true });
  return {
    write: (bytes, drawn) => terminal.write(bytes, drawn),
    text: () => {
      const { active } = terminal.buffer;
      const lines = Array.from({ length: rows }, (_, row) =>
        active.getLine(active.viewportY + row)?.translateToString(true),
      );
      return lines.join("\n").trimEnd();
    },
    dispose: () => terminal.dispose(),
  };
}

/** The last `count` lines with something on them, for an error message. */
export function lastLines(screen: string, count = 8): string {
  const lines = screen.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => /[\p{L}\p{N}]/u.test(line))
    .slice(-count)
    .join("\n");
}

/** All of it without the empty lines, for an error message. Its size is bounded by the terminal's. */
export const wholeText = (screen: string): string =>
  screen
    .split("\n")
    .filter((line) => line.trim() !== "")
    .join("\n");
