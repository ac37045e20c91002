/** Loaded before a server under test: on SIGUSR2 it writes to stderr how many timers are running. */
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
  console.error(`count ${count}: ${running.size} timers, ${Math.round(process.memoryUsage().rss / 1024 / 1024)} MB`);
});
