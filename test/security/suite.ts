/** All checks, in three sizes. */
import { bombMatrix } from "./bomb-matrix.ts";
import { type Check, type Result, runChecks } from "./check.ts";
import { controlMatrix } from "./control-matrix.ts";
import { type Amounts, fuzzChecks } from "./fuzz.ts";
import { machineChecks } from "./machine.ts";
import { measureBaseline } from "./pauses.ts";
import { realClaudeChecks } from "./real-claude.ts";
import { afterChecks, resourceChecks } from "./resources.ts";
import { slowWork } from "./slow-work.ts";
import { openTarget } from "./target.ts";

export interface Form {
  /** The size of a bomb, in bytes. */
  readonly bombs: number;
  /** The size of bombs near the limit of a request, in bytes; 0 leaves them out. */
  readonly largeBombs: number;
  readonly fuzz: Amounts;
  /** `size`: the length of a text, in characters. `count`: the number of messages, calls and tools. */
  readonly slowWork: { readonly size: number; readonly count: number };
  readonly resources: { readonly frames: number; readonly connections: number };
  readonly realClaude: "none" | "usual" | "all";
  /** Runs only every n-th check of each kind. */
  readonly every: number;
}

const MEGABYTE = 1024 * 1024;

export const FORMS = {
  /** Runs in `bun run test`, so that the suite itself keeps working. */
  short: {
    bombs: 64 * 1024,
    largeBombs: 0,
    fuzz: { chat: 500, hooks: 1_000, frames: 1_000, control: 500, raw: 200 },
    slowWork: { size: 20_000, count: 500 },
    resources: { frames: 2_000, connections: 100 },
    realClaude: "none",
    every: 7,
  },
  usual: {
    bombs: MEGABYTE / 2,
    largeBombs: 31 * MEGABYTE,
    fuzz: { chat: 30_000, hooks: 30_000, frames: 30_000, control: 10_000, raw: 5_000 },
    slowWork: { size: 100_000, count: 5_000 },
    resources: { frames: 20_000, connections: 500 },
    realClaude: "usual",
    every: 1,
  },
  long: {
    bombs: 8 * MEGABYTE,
    largeBombs: 31 * MEGABYTE,
    fuzz: { chat: 300_000, hooks: 300_000, frames: 300_000, control: 100_000, raw: 50_000 },
    slowWork: { size: 2_000_000, count: 20_000 },
    resources: { frames: 200_000, connections: 2_000 },
    realClaude: "all",
    every: 1,
  },
} as const satisfies Record<string, Form>;

/**
 * Runs all checks of a form.
 * @param seed determines the fuzzed inputs and, in a form that leaves checks out, which ones run
 * @param only runs the checks with a matching name, and the final ones on leaks and the log
 */
export async function runSuite(
  form: Form,
  seed: number,
  only: RegExp,
  report: (result: Result) => void,
): Promise<Result[]> {
  await using target = await openTarget();
  await using other = await openTarget();
  await measureBaseline(target);
  const baseline = await target.usage();
  const kinds: Check[][] = [
    bombMatrix(target, form.bombs),
    form.largeBombs > 0 ? bombMatrix(target, form.largeBombs, ["chat field", "chat body in gzip", "hook body"]) : [],
    slowWork(target, form.slowWork.size, form.slowWork.count),
    fuzzChecks(target, seed, form.fuzz),
    controlMatrix(target, other),
    resourceChecks(target, form.resources),
    machineChecks(),
    form.realClaude === "none" ? [] : realClaudeChecks(form.realClaude === "all"),
  ];
  const chosen = kinds.flatMap((checks) => checks.filter((_, at) => (at + seed) % form.every === 0));
  const checks = chosen.filter(({ name }) => only.test(name));
  return await runChecks([...checks, ...afterChecks(target, baseline)], report);
}
