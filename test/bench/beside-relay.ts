/**
 * The interactive engine beside a bare relay (`relay.ts`), in alternating rounds, with the same stand-ins: turns, system
 * calls, deltas.
 *
 * How to read a ratio: the driver, the stand-ins and the server under test share the machine's cores, and a turn costs a
 * stand-in several times what it costs the relay. Turns per second therefore measure all of them together. The CPU time
 * and the system calls of the server measure the server alone (Linux only). A stand-in's turn is cheaper the sooner the
 * next message arrives, because its memory is still in the processor's cache; this favours the relay. Both servers hold
 * the next message of a conversation until its stand-in has finished the one before. Each server has its own HOME,
 * because files written by the stand-ins of one would wake the other. Deltas are counted by line: synthesis sends the
 * deltas that arrive together as one chunk, the relay sends one chunk for each.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";
import {
  ask,
  endWithBench,
  type Figures,
  fixedTurns,
  medians,
  startConversations,
  type Target,
  turnsFor,
} from "./load.ts";
import { median } from "./median.ts";
import { type SystemCalls, systemCalls } from "./process-cost.ts";

const ROUNDS = 3;
const MEASURE_MS = 1_000;
const CLIENTS = [1, 16, 64];
const LINES = 5_000;
/** Turns whose system calls are counted: by so many clients, so many each. */
const COUNTED = { clients: 16, each: 20 };

type Way = "frames" | "hooks";
type Pair = readonly [relay: Target, synthesis: Target];

export async function measureBesideRelay(): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), "synthesis-bench-"));
  const claude = standInClaude(base);
  const callRows: string[] = [];
  const deltaRows: string[] = [];
  console.log(`synthesis beside a bare relay, same stand-ins, medians of ${ROUNDS} alternating rounds\n`);
  console.log(
    "| through | clients | relay turns/s | synthesis turns/s | ratio | relay p50/p99 ms | synthesis p50/p99 ms | p50 ratio | relay CPU ms/turn | synthesis CPU ms/turn | CPU ratio |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|---|");
  for (const way of ["frames", "hooks"] as const) {
    const pair = [await relay(way, claude, base), await synthesis(way, claude, base)] as const;
    // Start every conversation and let the code be compiled.
    for (const target of pair) await startConversations(target, Math.max(...CLIENTS), "lines 50");
    for (const clients of CLIENTS) await measureTurns(way, pair, clients);
    callRows.push(await measureCalls(way, pair));
    deltaRows.push(await measureDeltas(way, pair));
    for (const target of pair) await target.stop();
  }
  console.log(
    `\n| system calls of a turn, ${COUNTED.clients} clients, through | relay | synthesis | ratio | most frequent of synthesis |\n|---|---|---|---|---|`,
  );
  for (const row of callRows) console.log(row);
  console.log("\n| deltas through | relay /s | synthesis /s | ratio |\n|---|---|---|---|");
  for (const row of deltaRows) console.log(row);
  rmSync(base, { recursive: true, force: true });
}

async function measureTurns(way: Way, pair: Pair, clients: number): Promise<void> {
  const rounds: [Figures[], Figures[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of [0, 1] as const) rounds[side].push(await turnsFor(pair[side], clients, MEASURE_MS));
  }
  const [r, s] = [medians(rounds[0]), medians(rounds[1])];
  const percentiles = ({ p50, p99 }: Figures) => `${p50.toFixed(2)} / ${p99.toFixed(2)}`;
  console.log(
    `| ${way} | ${clients} | ${r.perSecond.toFixed(0)} | ${s.perSecond.toFixed(0)} | ${percent(s.perSecond, r.perSecond)} | ${percentiles(r)} | ${percentiles(s)} | ${(s.p50 / r.p50).toFixed(2)} | ${r.cpu.toFixed(3)} | ${s.cpu.toFixed(3)} | ${(s.cpu / r.cpu).toFixed(2)} |`,
  );
}

async function measureCalls(way: Way, pair: Pair): Promise<string> {
  const { clients, each } = COUNTED;
  const count = (target: Target) => systemCalls(target.pid, () => fixedTurns(target, clients, each));
  const [r, s] = [await count(pair[0]), await count(pair[1])];
  const perTurn = (calls: number) => (calls / (clients * each)).toFixed(1);
  const text = (calls: SystemCalls | null) => (calls === null ? "-" : perTurn(calls.total));
  const ratio = r === null || s === null ? "-" : (s.total / r.total).toFixed(2);
  const frequent = (s?.byName ?? []).slice(0, 8).map(([name, calls]) => `${name} ${perTurn(calls)}`);
  return `| ${way} | ${text(r)} | ${text(s)} | ${ratio} | ${frequent.join(", ") || "-"} |`;
}

async function measureDeltas(way: Way, pair: Pair): Promise<string> {
  const speeds: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of [0, 1] as const) speeds[side].push(await deltasPerSecond(pair[side]));
  }
  const [r, s] = [median(speeds[0]), median(speeds[1])];
  return `| ${way} | ${r.toFixed(0)} | ${s.toFixed(0)} | ${percent(s, r)} |`;
}

async function deltasPerSecond(target: Target): Promise<number> {
  const start = performance.now();
  const answer = await ask(target, "0", `lines ${LINES}`);
  // Deltas that arrived out of order are sent as one chunk.
  const count = answer.match(/lines 5000 \d/g)?.length ?? 0;
  if (count !== LINES) throw new Error(`${count} deltas of ${LINES}`);
  return (LINES / (performance.now() - start)) * 1_000;
}

const percent = (one: number, other: number): string => `${((one / other) * 100).toFixed(0)} %`;

async function relay(way: Way, claude: string, base: string): Promise<Target> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "relay.ts"), claude, join(base, `relay-${way}`)], {
    env: { PATH: process.env.PATH ?? "", HOME: join(base, `relay-home-${way}`), STAND_IN_REPLY: way },
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  const printed = new TextDecoder().decode((await reader.read()).value);
  const url = /listens on (http:\S+)\/v1/.exec(printed)?.[1] ?? "";
  const stop = () => {
    child.kill();
    return child.exited;
  };
  return endWithBench({ url, key: "", pid: child.pid, stop });
}

async function synthesis(way: Way, claude: string, base: string): Promise<Target> {
  const server = await startServer({
    PATH: process.env.PATH ?? "",
    HOME: join(base, `home-${way}`),
    SYNTHESIS_HOME: join(base, `synthesis-${way}`),
    SYNTHESIS_CLAUDE_BIN: claude,
    SYNTHESIS_ENGINE: "interactive",
    SYNTHESIS_REPLY: way === "frames" ? "tool" : "live",
    SYNTHESIS_MAX_PROCESSES: "64",
    SYNTHESIS_LOG_LEVEL: "warning",
    STAND_IN_REPLY: way,
  });
  return endWithBench(server);
}

if (import.meta.main) {
  await measureBesideRelay();
  process.exit(0);
}
