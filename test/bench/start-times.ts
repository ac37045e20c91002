/**
 * How long the program takes to start, from source and as a binary if there is one: the server, until it accepts a request,
 * and the plugin, until it answers Claude Code's first MCP message.
 */
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
  console.log("\n| start | ms | MB (resident / proportional / own) |\n|---|---|---|");
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
    console.log(`| server, ${name} | ${median(starts).toFixed(0)} | ${size} |`);
    const plugins: [ms: number, size: string][] = [];
    for (let round = 0; round < ROUNDS; round += 1) plugins.push(await startPlugin(program));
    console.log(`| plugin, ${name} | ${median(plugins.map(([ms]) => ms)).toFixed(0)} | ${plugins.at(-1)?.[1]} |`);
  }
  home.remove();
}

/** @returns the time to the first answer, and the memory then */
async function startPlugin(program: readonly string[]): Promise<[ms: number, size: string]> {
  // It accepts the plugin's connection, and says nothing.
  const bridge = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 400 })),
    websocket: { message: () => {} },
  });
  const start = performance.now();
  const child = Bun.spawn([...program, "channel"], {
    env: {
      PATH: process.env.PATH ?? "",
      SYNTHESIS_BRIDGE_URL: `ws://127.0.0.1:${bridge.port}/bridge`,
      SYNTHESIS_BRIDGE_TOKEN: "token",
      SYNTHESIS_CLAUDE_SESSION: crypto.randomUUID(),
      SYNTHESIS_OPENCLAW_SESSION: "user:bench",
    },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } };
  child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params })}\n`);
  child.stdin.flush();
  await child.stdout.getReader().read();
  const ms = performance.now() - start;
  const size = memoryText(child.pid);
  child.kill();
  await child.exited;
  await bridge.stop(true);
  return [ms, size];
}

if (import.meta.main) {
  await measureStartTimes();
  process.exit(0);
}
