/**
 * A preload for a server under test. On SIGUSR2 it collects garbage and writes to stderr how many timers are active, how
 * much memory the process has, and how many objects are on the JavaScript heap.
 */
import { heapStats } from "bun:jsc";

const running = new Set<unknown>();
const { setTimeout: timeout, setInterval: interval, clearTimeout: clear } = globalThis;

globalThis.setTimeout = ((callback: (...all: unknown[]) => void, ms?: number, ...all: unknown[]) => {
  const timer = timeout(() => {
    running.delete(timer);
    callback(...all);
  }, ms);
  running.add(timer);
  return timer;
}) as typeof setTimeout;
globalThis.setInterval = ((callback: (...all: unknown[]) => void, ms?: number, ...all: unknown[]) => {
  const timer = interval(callback, ms, ...all);
  running.add(timer);
  return timer;
}) as typeof setInterval;
globalThis.clearTimeout = globalThis.clearInterval = ((timer: Timer | undefined) => {
  running.delete(timer);
  clear(timer);
}) as typeof clearTimeout;

let count = 0;
process.on("SIGUSR2", () => {
  Bun.gc(true);
  count += 1;
  const memory = Math.round(process.memoryUsage().rss / 1024 / 1024);
  console.error(`count ${count}: ${running.size} timers, ${memory} MB, ${heapStats().objectCount} objects`);
});
