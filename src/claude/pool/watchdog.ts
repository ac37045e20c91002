/**
 * What ends the claudes of a server that was killed. A shell waits on a pipe from the server; when the
 * pipe closes without a word, it runs `synthesis sweep`. It costs about a megabyte.
 */

export interface Watchdog {
  /** The server ends by itself and leaves nothing: there is nothing to do. */
  dismiss(): void;
}

/** @param sweep the command that clears what is left */
export function startWatchdog(sweep: readonly string[]): Watchdog {
  // The signals that end a server at its terminal must not end its guard first.
  const script = 'trap "" HUP INT TERM; read -r word && exit 0; exec "$@"';
  const child = Bun.spawn(["/bin/sh", "-c", script, "synthesis-guard", ...sweep], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    // A group of its own, so that a signal to the server's whole group leaves it.
    detached: true,
  });
  child.unref();
  return {
    dismiss: () => {
      child.stdin.write("done\n");
      child.stdin.end();
    },
  };
}
