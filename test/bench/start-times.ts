/** The time from the start of the program to the first accepted request, from source and as a binary if there is one. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createClaudeHome } from "../support/claude-home.ts";
import { PROGRAM, startServer } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";
import { median } from "./median.ts";
import { memoryText } from "./process-cost.ts";

const ROUNDS = 5;

export async function measureStartTimes(): Promise<void> {
  const home = createClaudeHome({ api: "http://127.0.0.1:9" });
  const claude = standInClaude(home.base);
  const binary = join(import.meta.dir, "../../dist/synthesis");
  console.log("\n| start to the first accepted request | ms | MB (resident / proportional / own) |\n|---|---|---|");
  for (const [name, program] of [
    ["from source", PROGRAM],
    ...(existsSync(binary) ? [["the binary", [binary]] as const] : []),
  ] as const) {
    const starts: number[] = [];
    let size = "";
    for (let round = 0; round < ROUNDS; round += 1) {
      const env = { ...home.env, SYNTHESIS_HOME: join(home.base, `start-${round}`), SYNTHESIS_CLAUDE_BIN: claude };
      const start = performance.now();
      const one = await startServer(env, program);
      await fetch(`${one.url}/health`);
      starts.push(performance.now() - start);
      size = memoryText(one.pid);
      await one.stop();
    }
    console.log(`| ${name} | ${median(starts).toFixed(0)} | ${size} |`);
  }
  home.remove();
}

if (import.meta.main) {
  await measureStartTimes();
  process.exit(0);
}
