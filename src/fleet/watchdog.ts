/**
 * Kills the claude processes of a node whose lease is nearly over, also when the server stands still and cannot do it: a
 * shell looks once a second. It takes about a megabyte of memory.
 */
import { readFileSync, writeFileSync } from "node:fs";

export interface LeaseWatchdog {
  /** The processes may run so much longer, in ms. */
  renew(leftMs: number): void;
  stop(): void;
}

/** Time that goes on while the machine is suspended is in no file on macOS. There the watchdog reads the wall clock. */
const isLinux = process.platform === "linux";
const NOW = isLinux ? "read -r now rest < /proc/uptime" : "now=$(date +%s)";

/** It ends with the server, whose other watchdog then kills what is left. */
const SCRIPT = `trap "" HUP INT TERM
server=$1 lease=$2; shift 2
while sleep 1; do
  kill -0 "$server" 2>/dev/null || exit 0
  ${NOW}; read -r until < "$lease" || continue
  if [ "\${now%%.*}" -ge "$until" ]; then "$@"; fi
done`;

/**
 * @param file is written with each renewal
 * @param kill the command that kills the processes
 */
export function startLeaseWatchdog(file: string, kill: readonly string[]): LeaseWatchdog {
  const renew = (leftMs: number) => {
    writeFileSync(file, `${Math.floor(secondsNow() + leftMs / 1000)}\n`, { mode: 0o600 });
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
