/**
 * `bun run bench:metrics` measures what the metrics cost: the CPU time of two servers for each turn, with and without
 * them, taking turns, with the same stand-ins. One scrape belongs to each round. It prints a table and checks nothing.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ClaudeHome, createClaudeHome } from "../support/claude-home.ts";
import { preloaded, startServer, type TestServer } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { standInClaude } from "../support/world.ts";
import { median } from "./median.ts";

const CLIENTS = 16;
const ROUNDS = 12;
const ROUND_MS = 2_000;

const homes = [createClaudeHome({ api: "http://127.0.0.1:9" }), createClaudeHome({ api: "http://127.0.0.1:9" })];
const servers = await Promise.all(
  homes.map((home, at) =>
    startServer(
      {
        ...home.env,
        SYNTHESIS_HOME: join(home.base, "state"),
        SYNTHESIS_WORKSPACE: home.workspace,
        SYNTHESIS_CLAUDE_BIN: standInClaude(home.base),
        SYNTHESIS_ENGINE: "stream",
        SYNTHESIS_MAX_PROCESSES: "64",
        SYNTHESIS_LOG_LEVEL: "warning",
      },
      at === 0 ? preloaded() : preloaded("../bench/without-metrics.ts"),
    ),
  ),
);

/** The CPU time of all threads of a server, in ms (Linux only). */
const cpuMs = ({ pid }: TestServer) =>
  readdirSync(`/proc/${pid}/task`)
    .map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]))
    .reduce((sum, ns) => sum + ns / 1e6, 0);

/** @returns the CPU time for each turn, in ms */
async function round(server: TestServer, base: string): Promise<number> {
  const before = cpuMs(server);
  const until = performance.now() + ROUND_MS;
  let turns = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, user) => {
      while (performance.now() < until) {
        await (await server.post(ask("hello", { user: `${user}` }))).text();
        turns += 1;
      }
    }),
  );
  const key = readFileSync(join(base, "state/metrics.key"), "utf8").trim();
  await (await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${key}` } })).text();
  return (cpuMs(server) - before) / turns;
}

const costs: [number[], number[]] = [[], []];
for (let at = 0; at < ROUNDS + 2; at += 1) {
  for (const side of [0, 1] as const) {
    const cost = await round(servers[side] as TestServer, (homes[side] as ClaudeHome).base);
    // The first rounds run code that is not compiled yet.
    if (at >= 2) costs[side].push(cost);
  }
}
await Promise.all(servers.map((server) => server.stop()));
for (const home of homes) home.remove();
const [on, off] = [median(costs[0]), median(costs[1])];
console.log(`| Server CPU for each turn | ms |
|---|---|
| without metrics | ${off.toFixed(3)} |
| with metrics | ${on.toFixed(3)} |
| cost | ${((on / off - 1) * 100).toFixed(1)} % (target < 3 %) |`);
process.exit(0);
