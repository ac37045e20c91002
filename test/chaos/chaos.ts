/**
 * `bun run test:chaos`: a thousand hostile schedules, or those asked for.
 *   --seed N      one; when it fails, the smallest schedule that still does is looked for
 *   --seeds A-B   those from A to B; a number alone is how many, from 1
 *   --real        by the real claude, which takes about a minute each (by default twenty of them)
 *   --together N  so many at once (default 8)
 *   --first       ends with the first failure
 *   --planted     shows that the suite can fail, with faults planted on purpose
 * With CHAOS_LOG=1 a failure shows the end of the server's log.
 */
import { parseArgs } from "node:util";
import { plantAll } from "./planted.ts";
import { type Failure, play, playAll } from "./play.ts";
import { tell } from "./tell.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    real: { type: "boolean", default: false },
    together: { type: "string" },
    first: { type: "boolean", default: false },
    planted: { type: "boolean", default: false },
  },
});
if (values.planted) process.exit((await plantAll()) > 0 ? 1 : 0);
const numbers = /^(?:(\d+)-)?(\d+)$/;
const [, from, to] = numbers.exec(values.seeds ?? (values.real ? "20" : "1000")) ?? [];
if (to === undefined || !numbers.test(values.seed ?? "0")) throw new Error("Say --seed N, --seeds N or --seeds A-B.");
const who = values.real ? "real" : "stand-ins";
const seeds = values.seed
  ? [Number(values.seed)]
  : Array.from({ length: Number(to) - Number(from ?? 1) + 1 }, (_, at) => Number(from ?? 1) + at);

const began = performance.now();
let failures = 0;
let played = 0;
const told = (seed: number, failure: Failure | null) => {
  played += 1;
  if (failure) {
    failures += 1;
    console.log(`seed ${seed} failed: ${failure.why}\n${tell(failure.schedule)}`);
    console.log(`again: bun run test:chaos ${values.real ? "--real " : ""}--seed ${seed}\n`);
  }
  if (played % 50 === 0) console.log(`${played} of ${seeds.length} seeds, ${failures} failed`);
};
const [only] = seeds;
if (values.seed && only !== undefined) told(only, await play(only, who, true));
else await playAll(seeds, who, Number(values.together ?? (values.real ? 2 : 8)), told, values.first);

console.log(`${seeds.length} seeds in ${Math.round((performance.now() - began) / 1000)} s, ${failures} failed`);
process.exit(failures > 0 ? 1 : 0);
