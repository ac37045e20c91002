/**
 * What a server takes that has nothing to do, with 64 stand-ins, on both engines: CPU time and memory. The binary is
 * measured if it is there (`bun run build`), because users run it; the source otherwise. Bun looks at its own heap every
 * second until nothing has happened for half a minute, and rarely from then on, so the servers rest longer than that.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROGRAM, startServer } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";
import { endWithBench, startConversations, turnsFor } from "./load.ts";
import { cpuMs, memoryText } from "./process-cost.ts";

const ENGINES = ["interactive", "stream"] as const;
const CONVERSATIONS = 64;
/** How long servers rest before they are watched, in ms. */
const REST_MS = 40_000;
/** How long they are watched, in ms. */
const WATCHED_MS = 20_000;
/** How long the load takes, in ms. */
const LOAD_MS = 2_000;

const BINARY = join(import.meta.dir, "../../dist/synthesis");

/**
 * Starts the servers and gives them their load.
 * @returns prints the table when they have rested; other servers may be measured meanwhile
 */
export async function letServersRest(): Promise<() => Promise<void>> {
  const base = mkdtempSync(join(tmpdir(), "synthesis-bench-"));
  const program = existsSync(BINARY) ? [BINARY] : PROGRAM;
  const servers = await Promise.all(
    ENGINES.map(async (engine) => {
      const home = join(base, engine);
      mkdirSync(home);
      const env = {
        PATH: process.env.PATH ?? "",
        HOME: home,
        SYNTHESIS_HOME: join(home, "state"),
        SYNTHESIS_CLAUDE_BIN: standInClaude(home),
        SYNTHESIS_ENGINE: engine,
        SYNTHESIS_MAX_PROCESSES: `${CONVERSATIONS}`,
        SYNTHESIS_MEMORY_MB: "60000",
        SYNTHESIS_LOG_LEVEL: "warning",
      };
      return endWithBench(await startServer(env, program));
    }),
  );
  const memory: string[][] = [];
  const note = (when: string) => memory.push([when, ...servers.map(({ pid }) => memoryText(pid))]);
  note("just started");
  for (const server of servers) await startConversations(server, CONVERSATIONS);
  note("after a turn of each conversation");
  for (const server of servers) await turnsFor(server, CONVERSATIONS, LOAD_MS);
  note("just after a load");
  const rested = Bun.sleep(REST_MS);

  return async () => {
    await rested;
    const before = servers.map(({ pid }) => cpuMs(pid));
    await Bun.sleep(WATCHED_MS);
    const percent = servers.map(({ pid }, at) => ((cpuMs(pid) - (before[at] ?? 0)) / WATCHED_MS) * 100);
    note("at rest");
    const what = program === PROGRAM ? "from source" : "the binary";
    console.log(
      `\n| with ${CONVERSATIONS} conversations, ${what} | ${ENGINES.join(" | ")} | target |\n|---|---|---|---|`,
    );
    const shares = percent.map((one) => one.toFixed(3)).join(" | ");
    console.log(`| CPU at rest, % of a core | ${shares} | < 0.05 |`);
    for (const [when, ...figures] of memory) {
      const target = when === "at rest" ? "≤ 70" : "";
      console.log(`| memory ${when}, resident / proportional / own MB | ${figures.join(" | ")} | ${target} |`);
    }
    for (const server of servers) await server.stop();
    rmSync(base, { recursive: true, force: true });
  };
}

if (import.meta.main) {
  await (await letServersRest())();
  process.exit(0);
}
