/**
 * `bun run bench` prints, in one run, what synthesis costs beside what a user would have without it: a bare relay, another
 * server, a bare claude. It prints tables and ratios and asserts nothing. Each table has a file of its own, which
 * `bun test/bench/<file>` runs alone.
 */
import { startMockAnthropic } from "../support/mock-anthropic.ts";
import { letServersRest } from "./at-rest.ts";
import { measureBesideBareClaude } from "./beside-bare-claude.ts";
import { measureBesideClawOrchestrator } from "./beside-claw-orchestrator.ts";
import { measureBesideRelay } from "./beside-relay.ts";
import { measureInTerminal } from "./in-terminal.ts";
import { measureStartTimes } from "./start-times.ts";
import { measureUnnamed } from "./unnamed.ts";
import { measureWorstPauses } from "./worst-pauses.ts";

if (process.argv.includes("--help")) {
  console.log(
    "Usage: bun run bench\n\nIt takes no options. After `bun run build` it also measures the binary's start, and its rest.",
  );
  process.exit(0);
}

/** `bun test/bench/unnamed.ts` asks 200. */
const SINGLE_PROMPTS = 20;

const start = performance.now();
await measureBesideRelay();
await measureBesideClawOrchestrator();
const printRest = await letServersRest();
const mock = startMockAnthropic();
// These wait for the model or for claude most of the time.
await measureInTerminal(mock);
await printRest();
await measureBesideBareClaude(mock);
await measureUnnamed(mock, SINGLE_PROMPTS);
await mock.stop();
await measureWorstPauses();
await measureStartTimes();
console.log(`\nThe bench took ${((performance.now() - start) / 1_000).toFixed(0)} s.`);
process.exit(0);
