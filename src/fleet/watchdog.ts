/**
 * Kills the claude processes of a node whose lease is nearly over, also when the server stands still and cannot do it: a
 * shell looks once a second. It takes about a megabyte of memory.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";

export interface LeaseWatchdog {
  /** The processes may run so much longer, in ms. */
  renew(leftMs: number): void;
  stop(): void;
}

/** No file on macOS has a clock that also counts while the machine is suspended. There the watchdog reads the wall clock. */
const isLinux = process.platform === "linux";
const NOW = isLinux ? "read -r now rest < /proc/uptime" : "now=$(date +%s)";

/**
 * It outlives a server that is killed: what that server started must have ended before its lease has. It exits then, or
 * when the next server of the state folder, which has killed the rest, writes the file.
 */
const SCRIPT = `trap "" HUP INT TERM
server=$1 lease=$2; shift 2
while sleep 1; do
  ${NOW}; read -r until owner < "$lease" || exit 0
  [ "$owner" = "$server" ] || exit 0
  if [ "\${now%%.*}" -ge "$until" ]; then "$@"; kill -0 "$server" 2>/dev/null || exit 0; fi
done`;

/**
 * @param file is written with each renewal
 * @param kill the command that kills the processes
 */
export function startLeaseWatchdog(file: string, kill: readonly string[]): LeaseWatchdog {
  const renew = (leftMs: number) => {
    // Renamed, so that the script never reads a file that is being written.
    writeFileSync(`${file}.new`, `${Math.floor(secondsNow() + leftMs / 1000)} ${process.pid}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  // What an earlier server has left counts for its own processes only.
  renew(60_000);
  const command = ["/bin/sh", "-c", SCRIPT, "synthesis-lease-watchdog", `${process.pid}`, file, ...kill];
  const child = Bun.spawn(command, {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    // In its own process group, so that a signal to the server's group does not reach it.
    detached: true,
  });
  child.unref();
  return { renew, stop: () => child.kill("SIGKILL") };
}

/** On the clock that the script reads. */
const secondsNow = (): number =>
  isLinux ? Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]) : Date.now() / 1000;
