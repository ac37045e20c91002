/** Runs a command of this program in a terminal that tests can read and type into. */
import { createScreen } from "../../src/claude/interactive/screen.ts";
import { descendants, withCommand } from "./processes.ts";
import { PROGRAM } from "./server.ts";
import type { World } from "./world.ts";

export interface TestTerminal {
  /** Resolves with the text of the whole screen when a part of it matches. */
  shows(match: RegExp): Promise<string>;
  type(keys: string): void;
  /** Changes its size, and clears what the command has drawn so far. */
  resize(columns: number, rows: number): void;
  /** All bytes that were written to the terminal. */
  readonly written: () => string;
  /** The process id of the command. */
  readonly pid: () => number;
  readonly exited: Promise<unknown>;
}

/**
 * Runs a command. After its end the terminal shows `code <exit code>` and the settings of the terminal.
 * @param args the command's arguments
 */
export function openTerminal(world: World, args: readonly string[], columns = 120, rows = 42): TestTerminal {
  let screen = createScreen(columns, rows);
  const waiting: { match: RegExp; resolve: (screen: string) => void }[] = [];
  let written = "";
  const resolveWaiting = () => {
    const text = screen.text();
    for (const one of waiting.filter(({ match }) => match.test(text))) {
      waiting.splice(waiting.indexOf(one), 1);
      one.resolve(text);
    }
  };
  const child = Bun.spawn(["/bin/sh", "-c", '"$@"; echo "code $?"; stty -a', "sh", ...PROGRAM, ...args], {
    env: { ...world.claude.env, TERM: "xterm-256color", SYNTHESIS_HOME: `${world.claude.base}/state` },
    terminal: {
      cols: columns,
      rows,
      data: (_terminal, bytes) => {
        written += Buffer.from(bytes).toString();
        screen.write(bytes, resolveWaiting);
      },
    },
  });
  return {
    shows: (match) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      waiting.push({ match, resolve });
      resolveWaiting();
      return promise;
    },
    type: (keys) => void child.terminal?.write(keys),
    resize: (columns, rows) => {
      screen = createScreen(columns, rows);
      child.terminal?.resize(columns, rows);
    },
    written: () => written,
    pid: () => withCommand(descendants(child.pid), /attach/)[0] as number,
    exited: child.exited,
  };
}
