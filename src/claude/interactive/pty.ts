/** Starts a program in a pseudo-terminal (PTY). */
import type { Exit } from "../agent-process.ts";
import { withOpenFolder } from "../open-folder.ts";
import { COLUMNS, ROWS } from "./screen.ts";

export interface PtyOptions {
  /** The working directory: a real path, as it was when the workspace was allowed. */
  readonly workspace: string;
  readonly env: Record<string, string>;
  /** Receives everything that the program writes on its terminal. */
  onOutput(bytes: Uint8Array): void;
}

export interface PtyProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Types keys. */
  write(keys: string): void;
  resize(columns: number, rows: number): void;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
  /** Closes the terminal of a program that has exited. */
  close(): void;
}

/** The type of `spawnInPty`, so that tests can start fake processes. */
export type SpawnPty = (argv: readonly string[], options: PtyOptions) => PtyProcess;

export const spawnInPty: SpawnPty = (argv, { workspace, env, onOutput }) => {
  const child = withOpenFolder(workspace, (cwd) =>
    Bun.spawn([...argv], {
      cwd,
      env,
      // The output must always be read: Claude Code blocks after a few turns when nothing reads its terminal.
      terminal: { cols: COLUMNS, rows: ROWS, data: (_terminal, bytes) => onOutput(bytes) },
    }),
  );
  return {
    pid: child.pid,
    exited: child.exited.then(() => ({
      code: child.exitCode,
      signal: child.signalCode === null ? null : String(child.signalCode),
    })),
    write: (keys) => child.terminal?.write(keys),
    resize: (columns, rows) => child.terminal?.resize(columns, rows),
    kill: (signal) => child.kill(signal),
    close: () => child.terminal?.close(),
  };
};
