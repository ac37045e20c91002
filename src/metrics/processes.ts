/** The agent processes: how they start and end, their states, and their memory against the budget. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { type AgentProcess, NO_OWNER, type ProcessState } from "../claude/agent-process.ts";
import type { Pool } from "../claude/pool/pool.ts";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../core/clock.ts";
import { MEGABYTE } from "../core/machine.ts";

/** In seconds. */
const START_BUCKETS = [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 20, 30, 60];

const ENGINES = ["interactive", "stream"] as const;
const STATES = ["starting", "ready", "draining"] as const satisfies readonly ProcessState[];

interface ProcessMetricsDeps {
  readonly config: Pick<Config, "maxProcesses" | "memoryMb" | "processMemoryMb">;
  readonly pool: Pick<Pool, "processes" | "onStart">;
  readonly clock: Clock;
}

export function addProcessMetrics(registry: Registry, { config, pool, clock }: ProcessMetricsDeps): void {
  const registers = [registry];

  const starts = new Histogram({
    name: "synthesis_process_start_duration_seconds",
    help: "Time from the start of an agent process until it is ready, or has failed to start",
    labelNames: ["engine", "kind", "outcome"],
    buckets: START_BUCKETS,
    registers,
  });
  const exits = new Counter({
    name: "synthesis_process_exits_total",
    help: "Agent processes that have exited, also those that the server has stopped",
    labelNames: ["engine"],
    registers,
  });

  pool.onStart((process: AgentProcess) => {
    const { engine, spec, owner } = process;
    const kind = owner === NO_OWNER ? "spare" : spec.resume ? "resumed" : "new";
    const startedAt = clock.now();
    const note = (outcome: "ready" | "failed") =>
      starts.observe({ engine, kind, outcome }, (clock.now() - startedAt) / 1_000);
    process.ready.then(
      () => note("ready"),
      () => note("failed"),
    );
    const noteExit = () => exits.inc({ engine });
    process.exited.then(noteExit, noteExit);
  });

  new Gauge({
    name: "synthesis_processes",
    help: "Agent processes by state",
    labelNames: ["engine", "state"],
    registers,
    collect() {
      for (const engine of ENGINES) {
        for (const state of STATES) {
          const some = pool.processes.filter((one) => one.engine === engine && one.state === state);
          this.set({ engine, state }, some.length);
        }
      }
    },
  });
  new Gauge({
    name: "synthesis_processes_max",
    help: "How many agent processes may run at the same time",
    registers,
  }).set(config.maxProcesses);
  new Gauge({
    name: "synthesis_process_memory_bytes",
    help: "Memory of each agent process and everything that it has started; rank 1 is the largest",
    labelNames: ["rank"],
    registers,
    collect() {
      this.reset();
      const measured = pool.processes.flatMap(({ memory }) => memory ?? []).toSorted((one, other) => other - one);
      for (const [at, bytes] of measured.entries()) this.set({ rank: String(at + 1) }, bytes);
    },
  });
  new Gauge({
    name: "synthesis_memory_budget_bytes",
    help: "Memory that all agent processes may use together",
    registers,
  }).set(config.memoryMb * MEGABYTE);
  new Gauge({
    name: "synthesis_process_memory_limit_bytes",
    help: "Memory above which one agent process is restarted when it is idle",
    registers,
  }).set(config.processMemoryMb * MEGABYTE);
}
