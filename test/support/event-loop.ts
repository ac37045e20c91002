/**
 * Loaded before a server under test: on SIGUSR2 it writes to stderr for how long the event loop stood still at most
 * since the last time. Other programs on a busy machine do not count: a pause is as long as the process computed in it.
 */
export {};

let longest = 0;
let count = 0;
let at = performance.now();
let cpu = process.cpuUsage();

const look = () => {
  const now = performance.now();
  const { user, system } = process.cpuUsage(cpu);
  longest = Math.max(longest, Math.min(now - at, (user + system) / 1000));
  at = now;
  cpu = process.cpuUsage();
};
setInterval(look, 1);

process.on("SIGUSR2", () => {
  look();
  count += 1;
  console.error(`pause ${count}: ${longest.toFixed(1)} ms`);
  longest = 0;
});
