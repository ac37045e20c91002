/** `bun run test:storms` lets storms pass over a fleet of three nodes: two hundred, or those that the options name. */
import { parseArgs } from "node:util";
import { plantAll } from "./planted.ts";
import { runStorm, StormFailure } from "./storm.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "200" },
    first: { type: "boolean" },
    planted: { type: "boolean" },
  },
});
if (values.planted) process.exit((await plantAll()) > 0 ? 1 : 0);
const [, from = "1", to] =
  /^(?:(\d+)-)?(\d+)$/.exec(values.seed ? `${values.seed}-${values.seed}` : values.seeds) ?? [];
if (to === undefined) throw new Error("Use --seed N, --seeds N or --seeds A-B.");

const began = performance.now();
let failures = 0;
let acknowledged = 0;
for (let seed = Number(from); seed <= Number(to); seed += 1) {
  try {
    const result = await runStorm(seed);
    acknowledged += result.acknowledged;
    const { strikes, ...figures } = result;
    console.log(`seed ${seed}: ${JSON.stringify(figures)}\n  ${strikes.join(", ")}`);
  } catch (error) {
    if (!(error instanceof StormFailure)) throw error;
    failures += 1;
    console.log(`seed ${seed} failed: ${error.message}\nrepeat it: bun run test:storms --seed ${seed}`);
    if (values.first) break;
  }
}
console.log(`${acknowledged} answers in ${Math.round((performance.now() - began) / 1000)} s, ${failures} failed`);
process.exit(failures > 0 ? 1 : 0);
