/**
 * `bun run test:soak` runs ten thousand turns over two hundred conversations with sixteen process slots, so that most
 * processes are evicted and resumed later. It samples the server's memory, timers, descriptors and database, which must
 * not grow. `--turns N` changes the number of turns.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { descendants, descriptors, withCommand } from "../support/processes.ts";
import { preloaded } from "../support/server.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

const { values } = parseArgs({
  options: { turns: { type: "string", default: "10000" }, help: { type: "boolean", default: false } },
});
if (values.help) {
  console.log("Usage: bun run test:soak [--turns N]\n\n  --turns N  how many turns (default 10000)");
  process.exit(0);
}
const CONVERSATIONS = 200;
const PROCESSES = 16;
/** How many turns of a conversation follow each other, before other conversations need its process slot. */
const TURNS_PER_VISIT = 10;
const CONCURRENT_VISITS = 8;
const SAMPLES = 24;

await using world = await createWorld({
  standIn: true,
  env: { SYNTHESIS_MAX_PROCESSES: `${PROCESSES}`, SYNTHESIS_LOG_LEVEL: "warning" },
  program: preloaded("count-timers.ts"),
});
const { server, claude } = world;

/** What the server holds at one moment. */
interface Sample {
  readonly turns: number;
  readonly timers: number;
  readonly descriptors: number;
  readonly processes: number;
  /** In MB, after a garbage collection. */
  readonly memory: number;
  /** In bytes, with its write-ahead log. */
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
    processes: withCommand(descendants(server.pid), /stand-in-claude/).length,
    memory: memory(server.pid) ?? Number(/(\d+) MB/.exec(line)?.[1]),
    database: files.reduce((sum, name) => sum + statSync(join(state, name)).size, 0),
  });
}

/** The proportional set size in MB; null where the system has none. */
function memory(pid: number): number | null {
  if (process.platform !== "linux") return null;
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]) / 1024;
}

async function visit(user: string): Promise<void> {
  for (let turn = 0; turn < TURNS_PER_VISIT; turn += 1) {
    const said = `${user}, ${turn}`;
    const answer = (await Array.fromAsync(texts(await server.post(ask(said, { user }))))).join("");
    if (answer !== `You said: ${said}`) throw new Error(`${said} got the answer ${answer}`);
  }
}

const visits = Array.from(
  { length: Math.ceil(Number(values.turns) / TURNS_PER_VISIT) },
  (_, at) => `c${at % CONVERSATIONS}`,
);
const began = performance.now();
for (let part = 0; part < SAMPLES; part += 1) {
  const from = Math.floor((part * visits.length) / SAMPLES);
  const to = Math.floor(((part + 1) * visits.length) / SAMPLES);
  const waiting = visits.slice(from, to);
  const worker = async () => {
    for (let user = waiting.shift(); user !== undefined; user = waiting.shift()) await visit(user);
  };
  await Promise.all(Array.from({ length: CONCURRENT_VISITS }, worker));
  await sample(to * TURNS_PER_VISIT);
}
const seconds = Math.round((performance.now() - began) / 1000);

console.log("| turns | memory MB | descriptors | timers | processes | database KB |\n|---|---|---|---|---|---|");
for (const { turns, memory, descriptors, timers, processes, database } of samples) {
  const cells = [turns, memory.toFixed(1), descriptors, timers, processes, Math.round(database / 1024)];
  console.log(`| ${cells.join(" | ")} |`);
}

const quarter = SAMPLES / 4;
/** The medians of the second quarter, when everything is warm, and of the last. */
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
/** A turn takes one row and an entry in two indexes. */
if (perTurn > 1024) grown.push("database");

console.log(
  `${visits.length * TURNS_PER_VISIT} turns in ${seconds} s${grown.length > 0 ? `; grown: ${grown.join(", ")}` : ", all flat"}`,
);
process.exitCode = grown.length > 0 ? 1 : 0;
