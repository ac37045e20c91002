/**
 * `bun run bench`: synthesis beside the bare relay, in one run, taking turns, with the same stand-ins; and
 * the real claude against the mock API, beside `claude -p`. Prints tables and ratios; asserts nothing.
 *
 * What a ratio means: driver, stand-ins and the server under test share the machine's cores, and a turn costs a
 * stand-in several times what it costs the relay. So turns per second compare all of that, while the CPU time of the
 * server itself tells what only it does (Linux only). A stand-in's turn is the cheaper, the sooner it is answered: then
 * it finds its memory in the processor's cache, which favours the relay. Both servers hold a conversation's next message
 * until its stand-in is done with the one before. Each has a home of its own, or the files that the one's stand-ins write
 * would wake the other. Deltas are counted by their lines: of those that come together synthesis makes one chunk, the
 * relay a chunk each.
 */
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClaudeHome } from "../support/claude-home.ts";
import { startMockAnthropic } from "../support/mock-anthropic.ts";
import { descendants, named } from "../support/processes.ts";
import { PROGRAM, REAL_CLAUDE, startServer } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";
import { worstBodies } from "../support/worst-bodies.ts";

const ROUNDS = 3;
const MEASURE_MS = 2_000;
const CLIENTS = [1, 16, 64];
const LINES = 5_000;
/** After so long without a turn the server has given back what it no longer needs. */
const REST_MS = 3_000;
/** claude is ready for a message before it is done with its start; a spare has had that time when it is needed. */
const SETTLE_MS = 2_000;

const base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-bench-")));
const claude = standInClaude(base);

/** Whatever goes wrong, no server stays behind. */
const started: number[] = [];
process.on("exit", () => {
  for (const pid of started) {
    try {
      process.kill(pid, "SIGTERM");
    } catch {
      // It has ended as it should.
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

/** In ms, all threads together; 0 where the system does not say it in this way. */
function cpuOf(pid: number): number {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return 0;
  // Behind the name, which may hold spaces; in hundredths of a second.
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
  // A chunk holds more than one when pieces have overtaken each other.
  const count = answer.match(/lines 5000 \d/g)?.length ?? 0;
  if (count !== LINES) throw new Error(`${count} deltas of ${LINES}`);
  return (LINES / (performance.now() - start)) * 1000;
}

const median = (values: number[]) =>
  values.sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
const megabytes = (pid: number) => {
  // What it has for itself: pages shared with other processes count in part. Elsewhere than on Linux: all of them.
  const rollup = Bun.spawnSync(["cat", `/proc/${pid}/smaps_rollup`]).stdout.toString();
  const pss = /^Pss:\s+(\d+)/m.exec(rollup)?.[1];
  const rss = Bun.spawnSync(["ps", "-o", "rss=", "-p", `${pid}`]).stdout.toString();
  return Math.round(Number(pss ?? rss) / 1024);
};

console.log(`synthesis beside a bare relay, same stand-ins, medians of ${ROUNDS} rounds, taking turns\n`);
console.log(
  "| through | clients | relay turns/s | synthesis turns/s | ratio | relay p50/p99 ms | synthesis p50/p99 ms | p50 ratio | relay CPU ms/turn | synthesis CPU ms/turn |",
);
console.log("|---|---|---|---|---|---|---|---|---|---|");
const memory: string[] = [];
const deltaRows: string[] = [];
for (const way of ["frames", "hooks"] as const) {
  const pair = [await relay(way), await synthesis(way)] as const;
  started.push(...pair.map(({ pid }) => pid));
  // All conversations begun, everything compiled.
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
    ...settings,
  });
const server = await real("state");
const timed = async (what: () => Promise<unknown>) => {
  const start = performance.now();
  await what();
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
const [plugin = 0] = named(descendants(server.pid), / channel$/);
memory.push(`| plugin, in each claude | ${megabytes(plugin)} |`);
console.log("\n| the real claude, mock API | ms |\n|---|---|");
console.log(`| first turn of a conversation (cold) | ${median(cold).toFixed(0)} |`);
console.log(`| first turn of a conversation, with a spare | ${median(spare).toFixed(0)} |`);
console.log(`| every further turn (warm) | ${median(warm).toFixed(0)} |`);
console.log(`| \`claude -p\` per request | ${median(print).toFixed(0)} |`);
console.log("\n| memory | MB |\n|---|---|");
for (const row of memory) console.log(row);

const program = [process.execPath, "--preload", join(import.meta.dir, "../support/event-loop.ts"), ...PROGRAM.slice(1)];
const stopped = await startServer(
  { ...home.env, SYNTHESIS_HOME: join(home.base, "pauses"), SYNTHESIS_CLAUDE_BIN: claude },
  program,
);
let looks = 0;
const longestPause = async (): Promise<number> => {
  looks += 1;
  process.kill(stopped.pid, "SIGUSR2");
  return Number(/: (\S+) ms/.exec(await stopped.logged(new RegExp(`pause ${looks}: `)))?.[1]);
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
console.log("\n| the event loop's longest pauses, for the worst bodies that are let in | ms |\n|---|---|");
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
await mock.stop();
home.remove();
rmSync(base, { recursive: true, force: true });
