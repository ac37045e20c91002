/**
 * The interactive engine with the real claude against the mock API: how long each step of a turn takes, from the request
 * to the end of the answer, and how much later an answer ends that has the figures of its use.
 */
import { join } from "node:path";
import { type ClaudeHome, createClaudeHome } from "../support/claude-home.ts";
import { type MockAnthropic, startMockAnthropic, text } from "../support/mock-anthropic.ts";
import { descendants, withCommand } from "../support/processes.ts";
import { REAL_CLAUDE, startServer, type TestServer } from "../support/server.ts";
import { ask, events } from "../support/sse.ts";
import { standInClaude } from "../support/world.ts";
import { endWithBench } from "./load.ts";
import { median } from "./median.ts";
import { memoryText } from "./process-cost.ts";

const STARTS = 4;
const WARM_TURNS = 24;
/** Claude Code takes a message before its start is complete. A spare is given this time, in ms, as it has in practice. */
const SETTLE_MS = 2_000;
/** From the end of an answer to the next message of its conversation, in ms: a person does not answer sooner. */
const BETWEEN_MS = 200;

/** What the log of a server says when a step is done. The steps of a start come only with a process that starts. */
const LOGGED = {
  "process started": "claude started",
  "dialog answered": "dialog answered",
  "plugin connected": "plugin connected",
  ready: "claude ready",
  "message sent": "message sent",
} as const;
type Step = keyof typeof LOGGED | "model asked" | "first text" | "end";
const STEPS: readonly Step[] = [...(Object.keys(LOGGED) as Step[]), "model asked", "first text", "end"];
/** When each step was done, in ms after the request. */
type Steps = Partial<Record<Step, number>>;
type Turn = (server: TestServer, user: string, options?: object) => Promise<Steps>;

export async function measureInTerminal(mock: MockAnthropic): Promise<void> {
  const home = createClaudeHome({ api: mock.url });
  let askedAt = 0;
  mock.on(/hello/, function* () {
    askedAt = Date.now();
    yield text("Hello to you.");
  });
  const turn: Turn = async (server, user, options = {}) => {
    const logged = server.log().length;
    const start = Date.now();
    const steps: Steps = {};
    for await (const event of events(await server.post(ask("hello", { user, ...options })))) {
      if (event === "[DONE]") steps.end = Date.now() - start;
      else if ("choices" in event && event.choices[0]?.delta.content) steps["first text"] ??= Date.now() - start;
    }
    steps["model asked"] = askedAt - start;
    for (const line of server.log().slice(logged).split("\n")) {
      for (const step of Object.keys(LOGGED) as (keyof typeof LOGGED)[]) {
        if (!line.includes(`"message":"${LOGGED[step]}`)) continue;
        steps[step] ??= Date.parse(/"@timestamp":"([^"]+)"/.exec(line)?.[1] ?? "") - start;
      }
    }
    return steps;
  };

  const server = await start(home, REAL_CLAUDE);
  const fresh: Steps[] = [];
  for (let round = 0; round < STARTS; round += 1) fresh.push(await turn(server, `${round}`));
  const [plain, withUsage] = await takeTurns((options) => turn(server, "0", options));
  const plugins = withCommand(descendants(server.pid), / channel$/).map(memoryText);
  await server.stop();
  const spares = await turnsWithSpares(home, turn);
  home.remove();

  console.log(`\n| the real claude in a terminal, ms after the request | ${STEPS.join(" | ")} |`);
  console.log(`|---|${STEPS.map(() => "---|").join("")}`);
  for (const [kind, turns] of Object.entries({ new: fresh, "new, with a spare": spares, warm: plain })) {
    const cells = STEPS.map((step) => {
      const times = turns.flatMap((one) => one[step] ?? []);
      return times.length * 2 < turns.length ? "" : median(times).toFixed(0);
    });
    console.log(`| ${kind} | ${cells.join(" | ")} |`);
  }
  const firstText = (turns: readonly Steps[]) => median(turns.map((one) => one["first text"] ?? Number.NaN));
  console.log("\n| interactive engine | ms | ms | ratio or difference | target |\n|---|---|---|---|---|");
  const [spare, warm] = [firstText(spares), firstText(plain)];
  console.log(
    `| first text of a new conversation with a spare, of a warm turn | ${spare.toFixed(0)} | ${warm.toFixed(0)} | ${(spare / warm).toFixed(2)} | ≤ 1.8 |`,
  );
  printUsage("the real claude", plain, withUsage);
  printUsage("a stand-in", ...(await turnsOfStandIn(turn)));
  console.log(`\nEach plugin takes ${plugins[0] ?? "-"} MB (resident / proportional / own).`);
}

/** Turns without and with the figures of their use, taking turns. */
async function takeTurns(turn: (options: object) => Promise<Steps>): Promise<readonly [Steps[], Steps[]]> {
  const pair = [[], []] as [Steps[], Steps[]];
  for (let at = 0; at < WARM_TURNS; at += 1) {
    pair[at % 2 === 0 ? 0 : 1].push(await turn(at % 2 === 0 ? {} : { stream_options: { include_usage: true } }));
    await Bun.sleep(BETWEEN_MS);
  }
  return pair;
}

async function turnsWithSpares(home: ClaudeHome, turn: Turn): Promise<Steps[]> {
  const server = await start(home, REAL_CLAUDE, { SYNTHESIS_SPARES: "1" });
  await turn(server, "first");
  const turns: Steps[] = [];
  for (let round = 0; round < STARTS; round += 1) {
    while ((server.log().match(/claude ready.*"spare:/g)?.length ?? 0) <= round) await Bun.sleep(50);
    await Bun.sleep(SETTLE_MS);
    turns.push(await turn(server, `spare-${round}`));
  }
  await server.stop();
  return turns;
}

/** Turns of a stand-in without and with the figures of their use. */
async function turnsOfStandIn(turn: Turn): Promise<readonly [Steps[], Steps[]]> {
  const home = createClaudeHome({ api: "http://127.0.0.1:9" });
  const server = await start(home, standInClaude(home.base));
  await turn(server, "0");
  const pair = await takeTurns((options) => turn(server, "0", options));
  await server.stop();
  home.remove();
  return pair;
}

function printUsage(who: string, plain: readonly Steps[], withUsage: readonly Steps[]): void {
  const endOf = (turns: readonly Steps[]) => median(turns.map(({ end = Number.NaN }) => end));
  const [before, after] = [endOf(plain), endOf(withUsage)];

  console.log(
    `| end of an answer without and with usage, ${who} | ${before.toFixed(0)} | ${after.toFixed(0)} | +${(after - before).toFixed(0)} | ≤ 15 |`,
  );
}

async function start(home: ClaudeHome, claude: string, settings: Record<string, string> = {}): Promise<TestServer> {
  const server = await startServer({
    ...home.env,
    SYNTHESIS_HOME: join(home.base, `state-${crypto.randomUUID()}`),
    SYNTHESIS_WORKSPACE: home.workspace,
    SYNTHESIS_CLAUDE_BIN: claude,
    SYNTHESIS_ENGINE: "interactive",
    ...settings,
  });
  return endWithBench(server);
}

if (import.meta.main) {
  const mock = startMockAnthropic();
  await measureInTerminal(mock);
  await mock.stop();
  process.exit(0);
}
