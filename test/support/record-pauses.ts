/**
 * A preload for a server under test. It appends each pause of the event loop that is longer than `MIN_PAUSE_MS` to the
 * file in PAUSE_FILE, as one line of milliseconds. `pauses.ts` reads that file.
 *
 * A pause is measured as CPU time of the main thread. On a busy machine the thread also waits for a core, and that wait
 * is not the server's fault.
 */
import { appendFileSync } from "node:fs";

const MIN_PAUSE_MS = 10;
const TICK_MS = 5;

const file = process.env.PAUSE_FILE;
const cpuMs = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

let before = cpuMs();
if (file) {
  const tick = () => {
    const now = cpuMs();
    if (now - before > MIN_PAUSE_MS) appendFileSync(file, `${(now - before).toFixed(1)}\n`);
    before = cpuMs();
  };
  // The timer must not keep the process alive.
  setInterval(tick, TICK_MS).unref();
}
