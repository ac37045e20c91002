/**
 * `bun run test:chaos` runs a thousand chaos schedules, or those that the options name. `--help` lists the options.
 * With CHAOS_LOG=1 a failure shows the end of the server's log.
 */
import { parseArgs } from "node:util";
import { describeSchedule } from "./describe-schedule.ts";
import { plantAll } from "./planted.ts";
import { type Failure, runSeed, runSeeds } from "./run-seeds.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    engine: { type: "string", default: "interactive" },
    real: { type: "boolean", default: false },
    together: { type: "string" },
    first: { type: "boolean", default: false },
    planted: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`Usage: bun run test:chaos [options]

  --seed N      runs one seed; when it fails, searches for the smallest schedule that still fails
  --seeds A-B   runs the seeds from A to B; a single number N means 1-N (default 1000, with --real 20)
  --engine E    interactive or stream (default interactive)
  --real        runs against the real claude, about a minute per seed
  --together N  runs N seeds at the same time (default 8, with --real 2)
  --first       stops after the first failure
  --planted     plants one bug at a time in a copy of the project; the suite must catch each`);
  process.exit(0);
}
const { engine } = values;
if (engine !== "interactive" && engine !== "stream") throw new Error("Use --engine interactive or --engine stream.");
if (values.planted) process.exit((await plantAll(engine)) > 0 ? 1 : 0);
const numbers = /^(?:(\d+)-)?(\d+)$/;
const [, from, to] = numbers.exec(values.seeds ?? (values.real ? "20" : "1000")) ?? [];
if (to === undefined || !numbers.test(values.seed ?? "0")) throw new Error("Use --seed N, --seeds N or --seeds A-B.");
const who = values.real ? "real" : "stand-ins";
const seeds = values.seed
  ? [Number(values.seed)]
  : Array.from({ length: Number(to) - Number(from ?? 1) + 1 }, (_, at) => Number(from ?? 1) + at);

const began = performance.now();
let failures = 0;
let finished = 0;
const report = (seed: number, failure: Failure | null) => {
  finished += 1;
  if (failure) {
    failures += 1;
    console.log(`seed ${seed} failed: ${failure.why}\n${describeSchedule(failure.schedule)}`);
    console.log(`repeat it: bun run test:chaos --engine ${engine} ${values.real ? "--real " : ""}--seed ${seed}\n`);
  }
  if (finished % 50 === 0) console.log(`${finished} of ${seeds.length} seeds, ${failures} failed`);
};
const [only] = seeds;
if (values.seed && only !== undefined) report(only, await runSeed(only, who, engine, true));
else await runSeeds(seeds, who, engine, Number(values.together ?? (values.real ? 2 : 8)), report, values.first);

console.log(`${seeds.length} seeds in ${Math.round((performance.now() - began) / 1000)} s, ${failures} failed`);
process.exit(failures > 0 ? 1 : 0);
