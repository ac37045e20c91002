/**
 * The screen of a process's terminal. Claude Code draws with absolute cursor moves and leaves out the spaces between
 * words, so its dialogs can only be read from the rendered screen.
 */
import { Terminal } from "@xterm/headless";

/** Large enough that no line of a dialog wraps. */
export const COLUMNS = 120;
export const ROWS = 40;

export interface Screen {
  /** Takes bytes from the terminal. They are drawn a little later, and then `drawn` is called. */
  write(bytes: Uint8Array, drawn?: () => void): void;
  /** The visible text, one line per row, without trailing spaces. */
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

/** The last `count` lines that contain a letter or a digit, for an error message. */
export function lastLines(screen: string, count = 8): string {
  const lines = screen.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => /[\p{L}\p{N}]/u.test(line))
    .slice(-count)
    .join("\n");
}

/** The whole text without empty lines, for an error message. The size of the terminal bounds its length. */
export const wholeText = (screen: string): string =>
  screen
    .split("\n")
    .filter((line) => line.trim() !== "")
    .join("\n");
