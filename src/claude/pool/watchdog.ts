/**
 * Kills the agent processes of a server that died. A shell waits on a pipe from the server. When the pipe closes without
 * the farewell that `dismiss` writes, the shell runs `synthesis sweep`. It takes about a megabyte of memory.
 */

export interface Watchdog {
  /** The server has stopped its processes itself, so the watchdog has nothing to do. */
  dismiss(): void;
}

/** @param sweep the command that kills the orphans */
export function startWatchdog(sweep: readonly string[]): Watchdog {
  // The signals that stop a server in its terminal must not stop the watchdog first.
  const script = 'trap "" HUP INT TERM; read -r farewell && exit 0; exec "$@"';
  const child = Bun.spawn(["/bin/sh", "-c", script, "synthesis-watchdog", ...sweep], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    // In its own process group, so that a signal to the server's group does not reach it.
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
