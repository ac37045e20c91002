/**
 * Loaded before a server under test: writes to the file that WATCH_LOOP names how long its event loop was kept busy at
 * one go, a line of milliseconds for each time above `NOTED_MS`.
 * What counts is the CPU time of the main thread, not the clock: on a loaded machine a thread that could run has to wait
 * for a core, and that is no pause of ours.
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
  // The watch alone must not keep a server alive that has ended.
  setInterval(tick, TICK_MS).unref();
}
