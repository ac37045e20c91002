/**
 * Requests that name no conversation, on the real claude: what a process that lingers gives a chat, and what it costs
 * those who ask only once. Two servers in one run, taking turns: one whose processes linger, one whose processes do not.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClaudeHome } from "../support/claude-home.ts";
import { type MockAnthropic, startMockAnthropic } from "../support/mock-anthropic.ts";
import { descendants } from "../support/processes.ts";
import { REAL_CLAUDE, startServer, type TestServer } from "../support/server.ts";
import { median } from "./median.ts";

const CHATS = 5;
/** The kernel counts processor time in ticks of 10 ms. */
const MS_PER_TICK = 10;

/** @param prompts how many prompts are asked of each server, each of them once */
export async function measureUnnamed(mock: MockAnthropic, prompts: number): Promise<void> {
  const homes = [createClaudeHome({ api: mock.url }), createClaudeHome({ api: mock.url })] as const;
  const start = (at: 0 | 1, lingering: string) =>
    startServer({
      ...homes[at].env,
      SYNTHESIS_HOME: join(homes[at].base, "state"),
      SYNTHESIS_WORKSPACE: homes[at].workspace,
      SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
      SYNTHESIS_ENGINE: "stream",
      SYNTHESIS_MAX_LINGERING: lingering,
      SYNTHESIS_LOG_LEVEL: "info",
    });
  const [off, on] = [await start(0, "0"), await start(1, "2")];
  console.log("\n| requests that name no conversation | without | lingering | ratio | target |\n|---|---|---|---|---|");
  const turns: [number[], number[]] = [[], []];
  for (let chat = 0; chat < CHATS; chat += 1) {
    const messages: object[] = [{ role: "user", content: `chat ${chat}` }];
    for (const times of turns) {
      const [ms, answer] = await ask(on, messages);
      times.push(ms);
      messages.push({ role: "assistant", content: answer }, { role: "user", content: "and then?" });
    }
  }
  print("second turn beside the first, ms", median(turns[0]), median(turns[1]), "≤ 0.15");

  const servers = [off, on] as const;
  const before = servers.map(processorMs);
  const times = [0, 0] as [number, number];
  for (let prompt = 0; prompt < prompts; prompt += 1) {
    for (const side of [0, 1] as const) {
      times[side] += (await ask(servers[side], [{ role: "user", content: `prompt ${prompt}` }]))[0];
    }
  }
  const [offCpu = 0, onCpu = 0] = servers.map((server, at) => processorMs(server) - (before[at] ?? 0));
  print(`${prompts} single prompts: time, ms`, times[0], times[1], "≤ 1.1");
  if (process.platform === "linux") print(`${prompts} single prompts: CPU, ms`, offCpu, onCpu, "≤ 1.1");
  for (const server of servers) await server.stop();
  for (const home of homes) home.remove();
}

async function ask(server: TestServer, messages: readonly object[]): Promise<[ms: number, answer: string]> {
  const start = performance.now();
  const response = await server.post({ model: "", messages });
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  return [performance.now() - start, choices[0]?.message.content ?? ""];
}

/** Processor time of a server and everything it has started so far, in ms; 0 on other systems than Linux. */
function processorMs({ pid }: TestServer): number {
  if (process.platform !== "linux") return 0;
  return [pid, ...descendants(pid)].reduce((sum, one) => sum + ticksOf(one), 0) * MS_PER_TICK;
}

/** With the time of children that have exited. */
function ticksOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Behind the program's name, which may contain anything: utime, stime, cutime and cstime are fields 14 to 17.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  } catch {
    // The process has exited meanwhile.
    return 0;
  }
}

function print(what: string, one: number, other: number, target: string): void {
  console.log(`| ${what} | ${one.toFixed(0)} | ${other.toFixed(0)} | ${(other / one).toFixed(2)} | ${target} |`);
}

if (import.meta.main) {
  const mock = startMockAnthropic();
  await measureUnnamed(mock, Number(process.argv[2] ?? 200));
  await mock.stop();
}
