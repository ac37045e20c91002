/**
 * The stream engine beside claw-orchestrator, another server that keeps a `claude` over stream-json for each
 * conversation: the same stand-in, the same runtime, one run, taking turns. It is installed into a temporary folder;
 * without the registry of npm the table is left out.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";
import { endWithBench, type Figures, fixedTurns, medians, startConversations, type Target, turnsFor } from "./load.ts";
import { type SystemCalls, systemCalls } from "./process-cost.ts";

const PACKAGE = "@enderfga/claw-orchestrator";
const VERSION = "7.5.2";
const CLIENTS = [8, 16];
const ROUNDS = 3;
const MEASURE_MS = 1_000;
/** Turns whose system calls are counted: by so many clients, so many each. */
const COUNTED = { clients: 16, each: 20 };

export async function measureBesideClawOrchestrator(): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), "synthesis-bench-"));
  try {
    const program = await install(join(base, "installed"));
    if (program === null) {
      console.log(`\nThe table beside claw-orchestrator is left out: ${PACKAGE} could not be installed from npm.`);
      return;
    }
    const pair = [await clawOrchestrator(program, base), await synthesis(base)] as const;
    console.log(
      "\n| stream engine, stand-in | clients | claw-orchestrator turns/s | synthesis turns/s | ratio | target | claw-orchestrator p50 ms | synthesis p50 ms | claw-orchestrator CPU ms/turn | synthesis CPU ms/turn |\n|---|---|---|---|---|---|---|---|---|---|",
    );
    for (const target of pair) {
      await startConversations(target, Math.max(...CLIENTS));
      await turnsFor(target, Math.max(...CLIENTS), MEASURE_MS);
    }
    for (const clients of CLIENTS) {
      const rounds: [Figures[], Figures[]] = [[], []];
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const side of [0, 1] as const) rounds[side].push(await turnsFor(pair[side], clients, MEASURE_MS));
      }
      const [other, ours] = [medians(rounds[0]), medians(rounds[1])];
      console.log(
        `| turns | ${clients} | ${other.perSecond.toFixed(0)} | ${ours.perSecond.toFixed(0)} | ${(ours.perSecond / other.perSecond).toFixed(2)} | ≥ 2 | ${other.p50.toFixed(2)} | ${ours.p50.toFixed(2)} | ${other.cpu.toFixed(2)} | ${ours.cpu.toFixed(2)} |`,
      );
    }
    const calls: (SystemCalls | null)[] = [];
    for (const target of pair) {
      calls.push(await systemCalls(target.pid, () => fixedTurns(target, COUNTED.clients, COUNTED.each)));
    }
    const perTurn = (count: number) => (count / (COUNTED.clients * COUNTED.each)).toFixed(1);
    const text = (one: SystemCalls | null | undefined) =>
      one
        ? `${perTurn(one.total)} (${one.byName
            .slice(0, 6)
            .map(([name, count]) => `${name} ${perTurn(count)}`)
            .join(", ")})`
        : "-";
    console.log(
      `\nSystem calls of a turn, ${COUNTED.clients} clients: claw-orchestrator ${text(calls[0])}, synthesis ${text(calls[1])}.`,
    );
    for (const target of pair) await target.stop();
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/** @returns the program; null when it could not be installed */
async function install(folder: string): Promise<string | null> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }');
  // Its peers are other agents, of which it starts none here. No script of a package runs.
  const command = ["add", "--exact", "--ignore-scripts", "--omit=peer", "--omit=optional", `${PACKAGE}@${VERSION}`];
  const child = Bun.spawn([process.execPath, ...command], { cwd: folder, stdout: "ignore", stderr: "ignore" });
  if ((await child.exited) !== 0) return null;
  // Without its scripts this one has no native part. The server uses it only for what users search for.
  writeFileSync(join(folder, "node_modules/re2/re2.js"), "module.exports = RegExp;\n");
  return join(folder, "node_modules", PACKAGE, "dist/bin/cli.js");
}

async function clawOrchestrator(program: string, base: string): Promise<Target> {
  const home = join(base, "claw-home");
  mkdirSync(home);
  // It runs the first `claude` of the PATH.
  standInClaude(base);
  const child = Bun.spawn([process.execPath, program, "serve", "--port", "0"], {
    env: {
      PATH: `${base}:${process.env.PATH}`,
      HOME: home,
      TMPDIR: home,
      OPENCLAW_SERVER_TOKEN: "disabled",
      OPENCLAW_RATE_LIMIT: "1000000000",
      OPENCLAW_LOG_LEVEL: "error",
    },
    stdout: "pipe",
    stderr: "ignore",
  });
  const decoder = new TextDecoder();
  let printed = "";
  for await (const bytes of child.stdout) {
    printed += decoder.decode(bytes, { stream: true });
    const url = /running on (http:\S+)/.exec(printed)?.[1];
    if (url === undefined) continue;
    const stop = () => {
      child.kill();
      return child.exited;
    };
    return endWithBench({ url, key: "", model: "claude-sonnet-4-6", pid: child.pid, stop });
  }
  throw new Error(`claw-orchestrator did not start:\n${printed}`);
}

async function synthesis(base: string): Promise<Target> {
  const server = await startServer({
    PATH: process.env.PATH ?? "",
    HOME: join(base, "home"),
    SYNTHESIS_HOME: join(base, "state"),
    SYNTHESIS_CLAUDE_BIN: standInClaude(base),
    SYNTHESIS_ENGINE: "stream",
    SYNTHESIS_MAX_PROCESSES: "64",
    SYNTHESIS_LOG_LEVEL: "warning",
  });
  return endWithBench(server);
}

if (import.meta.main) {
  await measureBesideClawOrchestrator();
  process.exit(0);
}
