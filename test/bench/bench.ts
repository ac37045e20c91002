/**
 * `bun run bench` measures synthesis and a bare relay in one run, in alternating rounds, with the same stand-ins; then
 * the real claude against the mock API: in a terminal, beside `claude -p`, and over stream-json, beside a bare claude
 * (`beside-bare-claude.ts`). It prints tables and ratios and asserts nothing.
 *
 * How to read a ratio: the driver, the stand-ins and the server under test share the machine's cores, and a turn costs a
 * stand-in several times what it costs the relay. Turns per second therefore measure all of them together. The CPU time
 * of the server measures the server alone (Linux only). A stand-in's turn is cheaper the sooner the next message
 * arrives, because its memory is still in the processor's cache; this favours the relay. Both servers hold the next
 * message of a conversation until its stand-in has finished the one before. Each server has its own HOME, because files
 * written by the stand-ins of one would wake the other. Deltas are counted by line: synthesis sends the deltas that
 * arrive together as one chunk, the relay sends one chunk for each.
 */
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClaudeHome } from "../support/claude-home.ts";
import { startMockAnthropic } from "../support/mock-anthropic.ts";
import { createPauseFile, RECORD_PAUSES } from "../support/pauses.ts";
import { descendants, withCommand } from "../support/processes.ts";
import { PROGRAM, REAL_CLAUDE, startServer } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";
import { worstBodies } from "../support/worst-bodies.ts";
import { measureBesideBareClaude } from "./beside-bare-claude.ts";
import { median } from "./median.ts";
import { measureUnnamed } from "./unnamed.ts";

if (process.argv.includes("--help")) {
  console.log(
    "Usage: bun run bench\n\nIt takes no options. `bun run build` first adds the binary to the table of start times.",
  );
  process.exit(0);
}

const ROUNDS = 3;
const MEASURE_MS = 2_000;
const CLIENTS = [1, 16, 64];
const LINES = 5_000;
/** `bun test/bench/unnamed.ts` asks 200. */
const SINGLE_PROMPTS = 20;
/** How long the server is left without a turn before its memory at rest is measured, in ms. */
const REST_MS = 3_000;
/** claude takes a message before its start is complete. A spare is given this time, in ms, as it has in practice. */
const SETTLE_MS = 2_000;

const base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-bench-")));
const claude = standInClaude(base);

/** Servers that are ended when the bench ends for any reason. */
const started: number[] = [];
process.on("exit", () => {
  for (const pid of started) {
    try {
      process.kill(pid, "SIGTERM");
    } catch {
      // It has already exited.
    }
  }
});

interface Target {
  readonly url: string;
  readonly key: string;
  readonly pid: number;
  stop(): Promise<unknown>;
}
type Way = "frames" | "hooks";

async function relay(way: Way): Promise<Target> {
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
  return { url, key: "", pid: child.pid, stop };
}

const synthesis = (way: Way): Promise<Target> =>
  startServer({
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

async function ask({ url, key }: Target, user: string, content: string): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: "synthesis-claude-bridge",
      stream: true,
      user,
      messages: [{ role: "user", content }],
    }),
  });
  return response.text();
}

interface Figures {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** CPU time of the server for each turn, in ms. */
  readonly cpu: number;
}

/** CPU time of all threads in ms; 0 where there is no /proc. */
function cpuOf(pid: number): number {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return 0;
  // The fields after the name, which may contain spaces. They count hundredths of a second.
  const [user, system] = readFileSync(file, "utf8").split(") ").at(-1)?.split(" ").slice(11, 13).map(Number) ?? [];
  return ((user ?? 0) + (system ?? 0)) * 10;
}

async function turns(target: Target, clients: number): Promise<Figures> {
  const times: number[] = [];
  const before = cpuOf(target.pid);
  const until = performance.now() + MEASURE_MS;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      while (performance.now() < until) {
        const start = performance.now();
        await ask(target, `${client}`, "hello");
        times.push(performance.now() - start);
      }
    }),
  );
  times.sort((one, other) => one - other);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  const cpu = (cpuOf(target.pid) - before) / times.length;
  return { perSecond: (times.length / MEASURE_MS) * 1000, p50: at(0.5), p99: at(0.99), cpu };
}

async function deltas(target: Target): Promise<number> {
  const start = performance.now();
  const answer = await ask(target, "0", `lines ${LINES}`);
  // Deltas that arrived out of order are sent as one chunk.
  const count = answer.match(/lines 5000 \d/g)?.length ?? 0;
  if (count !== LINES) throw new Error(`${count} deltas of ${LINES}`);
  return (LINES / (performance.now() - start)) * 1000;
}

const megabytes = (pid: number) => {
  // On Linux the proportional set size, in which shared pages count in part; elsewhere the resident set size.
  const rollup = Bun.spawnSync(["cat", `/proc/${pid}/smaps_rollup`]).stdout.toString();
  const pss = /^Pss:\s+(\d+)/m.exec(rollup)?.[1];
  const rss = Bun.spawnSync(["ps", "-o", "rss=", "-p", `${pid}`]).stdout.toString();
  return Math.round(Number(pss ?? rss) / 1024);
};

console.log(`synthesis beside a bare relay, same stand-ins, medians of ${ROUNDS} rounds, in alternating rounds\n`);
console.log(
  "| through | clients | relay turns/s | synthesis turns/s | ratio | relay p50/p99 ms | synthesis p50/p99 ms | p50 ratio | relay CPU ms/turn | synthesis CPU ms/turn |",
);
console.log("|---|---|---|---|---|---|---|---|---|---|");
const memory: string[] = [];
const deltaRows: string[] = [];
for (const way of ["frames", "hooks"] as const) {
  const pair = [await relay(way), await synthesis(way)] as const;
  started.push(...pair.map(({ pid }) => pid));
  // Start every conversation and let the code be compiled.
  for (const target of pair)
    await Promise.all(Array.from({ length: 64 }, (_, user) => ask(target, `${user}`, "lines 50")));
  for (const clients of CLIENTS) {
    const all: [Figures[], Figures[]] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [index, target] of pair.entries()) (all[index] as Figures[]).push(await turns(target, clients));
    }
    const of = (index: 0 | 1, figure: keyof Figures) => median(all[index].map((one) => one[figure]));
    const pXX = (index: 0 | 1) => `${of(index, "p50").toFixed(2)} / ${of(index, "p99").toFixed(2)}`;
    const [r, s] = [of(0, "perSecond"), of(1, "perSecond")];
    const p50 = of(1, "p50") / of(0, "p50");
    console.log(
      `| ${way} | ${clients} | ${r.toFixed(0)} | ${s.toFixed(0)} | ${((s / r) * 100).toFixed(0)} % | ${pXX(0)} | ${pXX(1)} | ${p50.toFixed(2)} | ${of(0, "cpu").toFixed(2)} | ${of(1, "cpu").toFixed(2)} |`,
    );
  }
  const speeds: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, target] of pair.entries()) (speeds[index] as number[]).push(await deltas(target));
  }
  const [r, s] = [median(speeds[0]), median(speeds[1])];
  deltaRows.push(`| ${way} | ${r.toFixed(0)} | ${s.toFixed(0)} | ${((s / r) * 100).toFixed(0)} % |`);
  memory.push(`| server, with 64 claudes, just after, ${way} | ${megabytes(pair[1].pid)} |`);
  await Bun.sleep(REST_MS);
  memory.push(`| server, with 64 claudes, at rest, ${way} | ${megabytes(pair[1].pid)} |`);
  for (const target of pair) await target.stop();
}
console.log("\n| deltas through | relay /s | synthesis /s | ratio |\n|---|---|---|---|");
for (const row of deltaRows) console.log(row);

const mock = startMockAnthropic();
const home = createClaudeHome({ api: mock.url });
const real = (name: string, settings: Record<string, string> = {}) =>
  startServer({
    ...home.env,
    SYNTHESIS_HOME: join(home.base, name),
    SYNTHESIS_WORKSPACE: home.workspace,
    SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
    SYNTHESIS_ENGINE: "interactive",
    ...settings,
  });
const server = await real("state");
const timed = async (action: () => Promise<unknown>) => {
  const start = performance.now();
  await action();
  return performance.now() - start;
};
memory.unshift(`| server, just started | ${megabytes(server.pid)} |`);
const cold: number[] = [];
const spare: number[] = [];
const warm: number[] = [];
const print: number[] = [];
for (let round = 0; round < 5; round += 1) {
  cold.push(await timed(() => ask(server, `${round}`, "hello")));
  for (let turn = 0; turn < 3; turn += 1) warm.push(await timed(() => ask(server, `${round}`, "hello")));
  print.push(
    await timed(async () => {
      const child = Bun.spawn([REAL_CLAUDE, "-p", "hello"], {
        env: home.env,
        cwd: home.workspace,
        stdin: "ignore",
        stdout: "pipe",
      });
      await child.stdout.text();
    }),
  );
}
const ahead = await real("ahead", { SYNTHESIS_SPARES: "1" });
await ask(ahead, "0", "hello");
for (let round = 1; round <= 5; round += 1) {
  const ready = new RegExp(`(claude ready.*"spare:[\\s\\S]*){${round}}`);
  while (!ready.test(ahead.log())) await Bun.sleep(50);
  await Bun.sleep(SETTLE_MS);
  spare.push(await timed(() => ask(ahead, `${round}`, "hello")));
}
await ahead.stop();
const [plugin = 0] = withCommand(descendants(server.pid), / channel$/);
memory.push(`| plugin, in each claude | ${megabytes(plugin)} |`);
console.log("\n| the real claude in a terminal, mock API | ms |\n|---|---|");
console.log(`| first turn of a conversation (cold) | ${median(cold).toFixed(0)} |`);
console.log(`| first turn of a conversation, with a spare | ${median(spare).toFixed(0)} |`);
console.log(`| every further turn (warm) | ${median(warm).toFixed(0)} |`);
console.log(`| \`claude -p\` per request | ${median(print).toFixed(0)} |`);
console.log("\n| memory | MB |\n|---|---|");
for (const row of memory) console.log(row);

const pauseFile = createPauseFile(join(home.base, "pauses.txt"));
const stopped = await startServer(
  {
    ...home.env,
    ...pauseFile.env,
    SYNTHESIS_HOME: join(home.base, "pauses"),
    SYNTHESIS_CLAUDE_BIN: claude,
    SYNTHESIS_ENGINE: "interactive",
  },
  [process.execPath, ...RECORD_PAUSES, ...PROGRAM.slice(1)],
);
const longestPause = async (): Promise<number> => {
  for (let request = 0; request < 2; request += 1) await fetch(`${stopped.url}/health`);
  return pauseFile.longest();
};
await ask(stopped, "worst", "hello");
await longestPause();
const pauses: [what: string, ms: number][] = [];
for (const [what, body] of Object.entries(worstBodies)) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${stopped.key}` };
  const url = `${stopped.url}/v1/chat/completions`;
  await (await fetch(url, { method: "POST", headers, body: body() })).text();
  pauses.push([what, await longestPause()]);
}
await stopped.stop();
pauses.sort(([, one], [, other]) => other - one);
console.log("\n| the longest pauses of the event loop, for the worst bodies that are accepted | ms |\n|---|---|");
for (const [what, ms] of pauses.slice(0, 5)) console.log(`| ${what} | ${ms.toFixed(0)} |`);

const binary = join(import.meta.dir, "../../dist/synthesis");
console.log("\n| start to the first accepted request | ms | MB |\n|---|---|---|");
for (const [name, program] of [
  ["from source", PROGRAM],
  ...(existsSync(binary) ? [["the binary", [binary]] as const] : []),
] as const) {
  const starts: number[] = [];
  let size = 0;
  for (let round = 0; round < 5; round += 1) {
    const env = { ...home.env, SYNTHESIS_HOME: join(home.base, `start-${round}`), SYNTHESIS_CLAUDE_BIN: claude };
    const start = performance.now();
    const one = await startServer(env, program);
    await fetch(`${one.url}/health`);
    starts.push(performance.now() - start);
    size = megabytes(one.pid);
    await one.stop();
  }
  console.log(`| ${name} | ${median(starts).toFixed(0)} | ${size} |`);
}
await server.stop();
await measureBesideBareClaude(mock);
await measureUnnamed(mock, SINGLE_PROMPTS);
await mock.stop();
home.remove();
rmSync(base, { recursive: true, force: true });
