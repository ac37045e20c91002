/**
 * A preload for a server under test. It appends each pause of the event loop above `NOTED_MS` to the file in WATCH_LOOP,
 * one line of milliseconds for each.
 * A pause is measured as CPU time of the main thread, because on a loaded machine the thread also waits for a core, and
 * that wait is not the server's fault.
 */
import { appendFileSync } from "node:fs";

const NOTED_MS = 20;
const TICK_MS = 5;

const file = process.env.WATCH_LOOP;
const cpuMs = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

let before = cpuMs();
if (file) {
  const tick = () => {
    const now = cpuMs();
    if (now - before > NOTED_MS) appendFileSync(file, `${(now - before).toFixed(1)}\n`);
    before = cpuMs();
  };
  // The timer must not keep the process alive.
  setInterval(tick, TICK_MS).unref();
}
