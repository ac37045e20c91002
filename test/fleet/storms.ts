/** `bun run test:storms` lets storms pass over a fleet of three nodes: two hundred, or those that the options name. */
import { parseArgs } from "node:util";
import { plantAll } from "./planted.ts";
import { runStorm, StormFailure } from "./storm.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "200" },
    together: { type: "string", default: "3" },
    first: { type: "boolean", default: false },
    planted: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`Usage: bun run test:storms [options]

  --seed N      runs one seed
  --seeds A-B   runs the seeds from A to B; a single number N means 1-N (default 200)
  --together N  runs N seeds at the same time (default 3)
  --first       stops after the first failure
  --planted     plants one bug at a time in a copy of the project; the storms must catch each`);
  process.exit(0);
}
if (values.planted) process.exit((await plantAll()) > 0 ? 1 : 0);
const range = values.seed ? `${values.seed}-${values.seed}` : values.seeds;
const [, from = "1", to] = /^(?:(\d+)-)?(\d+)$/.exec(range) ?? [];
if (to === undefined) throw new Error("Use --seed N, --seeds N or --seeds A-B.");

const began = performance.now();
let next = Number(from);
let failures = 0;
let acknowledged = 0;
let staleActs = 0;
let recoveryMs = 0;

async function runNext(): Promise<void> {
  while (next <= Number(to) && !(values.first && failures > 0)) {
    const seed = next;
    next += 1;
    try {
      const result = await runStorm(seed);
      acknowledged += result.acknowledged;
      staleActs += result.staleActs;
      recoveryMs = Math.max(recoveryMs, result.recoveryMs);
      console.log(
        `seed ${seed}: ${result.acknowledged} answers, ${result.refused} refused: ${result.strikes.join(", ")}`,
      );
    } catch (error) {
      // A fault of the check itself fails the seed too: ending here would leave the servers of the other storms behind.
      failures += 1;
      const why = error instanceof StormFailure ? `failed: ${error.message}` : `ended the check: ${Bun.inspect(error)}`;
      console.log(`seed ${seed} ${why}\nrepeat it: bun run test:storms --seed ${seed}`);
    }
  }
}
await Promise.all(Array.from({ length: Number(values.together) }, runNext));

const seconds = Math.round((performance.now() - began) / 1000);
console.log(`${acknowledged} answers in ${seconds} s, ${failures} failed`);
console.log(`${staleActs} acts of a claude that had lost its session, all until the watchdog's next look`);
console.log(`the longest time after a storm until a conversation answered: ${Math.round(recoveryMs)} ms`);
process.exit(failures > 0 ? 1 : 0);
