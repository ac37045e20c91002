/**
 * `bun run test:soak`: ten thousand turns over two hundred conversations, sixteen claudes at a time, so that most are
 * ended for another and resumed when their turn comes. What the server holds on to is written down on the way; it
 * must not grow.
 *   --turns N  so many (default 10000)
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { descendants, descriptors, named } from "../support/processes.ts";
import { PROGRAM } from "../support/server.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

const { values } = parseArgs({ options: { turns: { type: "string", default: "10000" } } });
const CONVERSATIONS = 200;
const PROCESSES = 16;
/** So many turns of a conversation follow each other, before others need its claude's place. */
const VISIT = 10;
const TOGETHER = 8;
const SAMPLES = 24;

const root = join(import.meta.dir, "../..");
const [bun = "", ...program] = PROGRAM;
await using world = await createWorld({
  standIn: true,
  env: { SYNTHESIS_MAX_PROCESSES: `${PROCESSES}`, SYNTHESIS_LOG_LEVEL: "warning" },
  program: [bun, "--preload", join(root, "test/support/count-timers.ts"), ...program],
});
const { server, claude } = world;

/** What the server has at one moment. */
interface Sample {
  readonly turns: number;
  readonly timers: number;
  readonly descriptors: number;
  readonly processes: number;
  /** In MB, after its rubbish has been collected. */
  readonly memory: number;
  /** In bytes, with its log. */
  readonly database: number;
}

const samples: Sample[] = [];
async function sample(turns: number): Promise<void> {
  process.kill(server.pid, "SIGUSR2");
  const line = await server.logged(new RegExp(`^count ${samples.length + 1}:`));
  const state = join(claude.base, "state");
  const files = readdirSync(state).filter((name) => name.startsWith("synthesis.db"));
  samples.push({
    turns,
    timers: Number(/(\d+) timers/.exec(line)?.[1]),
    descriptors: descriptors(server.pid),
    processes: named(descendants(server.pid), /stand-in-claude/).length,
    memory: memory(server.pid) ?? Number(/(\d+) MB/.exec(line)?.[1]),
    database: files.reduce((sum, name) => sum + statSync(join(state, name)).size, 0),
  });
}

/** What only this process uses, and its share of the rest, in MB; null where the system does not say. */
function memory(pid: number): number | null {
  if (process.platform !== "linux") return null;
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]) / 1024;
}

async function visit(user: string): Promise<void> {
  for (let turn = 0; turn < VISIT; turn += 1) {
    const said = `${user}, ${turn}`;
    const answer = (await Array.fromAsync(texts(await server.post(ask(said, { user }))))).join("");
    if (answer !== `You said: ${said}`) throw new Error(`${said} was answered with ${answer}`);
  }
}

const visits = Array.from({ length: Math.ceil(Number(values.turns) / VISIT) }, (_, at) => `c${at % CONVERSATIONS}`);
const began = performance.now();
for (let part = 0; part < SAMPLES; part += 1) {
  const from = Math.floor((part * visits.length) / SAMPLES);
  const to = Math.floor(((part + 1) * visits.length) / SAMPLES);
  const waiting = visits.slice(from, to);
  const worker = async () => {
    for (let user = waiting.shift(); user !== undefined; user = waiting.shift()) await visit(user);
  };
  await Promise.all(Array.from({ length: TOGETHER }, worker));
  await sample(to * VISIT);
}
const seconds = Math.round((performance.now() - began) / 1000);

console.log("| turns | memory MB | descriptors | timers | processes | database KB |\n|---|---|---|---|---|---|");
for (const { turns, memory, descriptors, timers, processes, database } of samples) {
  const cells = [turns, memory.toFixed(1), descriptors, timers, processes, Math.round(database / 1024)];
  console.log(`| ${cells.join(" | ")} |`);
}

const quarter = SAMPLES / 4;
/** Of the second quarter, when all is warm, and of the last. */
const medians = (of: (sample: Sample) => number) =>
  [samples.slice(quarter, 2 * quarter), samples.slice(-quarter)].map((some) => {
    const sorted = some.map(of).toSorted((one, other) => one - other);
    return ((sorted[quarter / 2 - 1] ?? 0) + (sorted[quarter / 2] ?? 0)) / 2;
  }) as [number, number];

const grown: string[] = [];
const flat = (what: string, of: (sample: Sample) => number, most: (before: number) => number) => {
  const [before, after] = medians(of);
  console.log(`${what}: ${before.toFixed(1)}, then ${after.toFixed(1)}`);
  if (after > most(before)) grown.push(what);
};
flat(
  "memory",
  (one) => one.memory,
  (before) => before * 1.1 + 5,
);
flat(
  "descriptors",
  (one) => one.descriptors,
  (before) => before + 2,
);
flat(
  "timers",
  (one) => one.timers,
  (before) => before + 2,
);
flat(
  "processes",
  (one) => one.processes,
  () => PROCESSES,
);
const [turnsBefore, turnsAfter] = medians((one) => one.turns);
const [bytesBefore, bytesAfter] = medians((one) => one.database);
const perTurn = (bytesAfter - bytesBefore) / (turnsAfter - turnsBefore);
console.log(`database: ${perTurn.toFixed(0)} bytes a turn`);
/** A row of a turn and its places in two indexes. */
if (perTurn > 1024) grown.push("database");

console.log(
  `${visits.length * VISIT} turns in ${seconds} s${grown.length > 0 ? `; grown: ${grown.join(", ")}` : ", all flat"}`,
);
process.exitCode = grown.length > 0 ? 1 : 0;
