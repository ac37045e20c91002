/**
 * `bun run bench:openclaw` measures chats through the real OpenClaw in one run, which take turns: over synthesis with
 * both of its engines, over OpenClaw's own claude-cli backend, and over a provider without Claude that answers at once.
 * All use one gateway, one claude and one mock of the API. It prints tables and asserts nothing.
 *
 * How to read it: OpenClaw itself takes a part of every figure, and its two ways to a model do not cost it the same. The
 * CPU time of its gateway shows that (Linux only). CPU times do not depend on what else the machine does; the other
 * figures do.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createClaudeHome } from "../support/claude-home.ts";
import { startMockAnthropic, text } from "../support/mock-anthropic.ts";
import { createOpenClaw, provider } from "../support/openclaw-gateway.ts";
import { installOpenClaw } from "../support/openclaw-install.ts";
import { descendants, waitForExit, withCommand } from "../support/processes.ts";
import { REAL_CLAUDE, startServer } from "../support/server.ts";
import { texts } from "../support/sse.ts";
import { startInstantProvider } from "./instant-provider.ts";
import { median } from "./median.ts";

const rounds = Number(process.argv[2] ?? 10);
if (!(rounds > 0)) {
  console.log(
    "Usage: bun run bench:openclaw [rounds]\n\nOne round is a new conversation, four warm turns and a resumed one, each way.\nWith OPENCLAW_TRAJECTORY=0 in its environment OpenClaw records no trajectories.",
  );
  process.exit(1);
}
const WARM_TURNS = 4;
/** How long OpenClaw and Claude Code work on after an answer, in ms. The next turn should not pay for it. */
const SETTLE_MS = 300;
const MODEL = "claude-sonnet-5";

const { folder } = await installOpenClaw();
process.env.SYNTHESIS_TEST_OPENCLAW = folder;

await using all = new AsyncDisposableStack();
const mock = startMockAnthropic();
all.defer(() => mock.stop());
/** When the newest model request of a chat arrived. */
let modelAt = 0;
const DELTAS = ["Hello ", "there.\n"];
const noteRequest = () => {
  modelAt = performance.now();
};
mock.on(/bench message/, function* () {
  noteRequest();
  yield* DELTAS.map(text);
});
const instant = all.use(startInstantProvider(DELTAS, noteRequest));
const home = createClaudeHome({ api: mock.url });
all.defer(() => home.remove());
mkdirSync(join(home.home, ".claude"));
writeFileSync(join(home.home, ".claude/settings.json"), JSON.stringify({ model: MODEL }));

interface Way {
  readonly name: string;
  /** The model of OpenClaw that is this way. */
  readonly model: string;
  readonly hasClaude: boolean;
  /** The process id of synthesis, if the turn goes through it. */
  readonly server?: number;
}
const ENGINES = ["stream", "interactive"] as const;
const servers = await Promise.all(
  ENGINES.map(async (engine) => {
    const server = await startServer({
      ...home.env,
      SYNTHESIS_HOME: join(home.base, `state-${engine}`),
      SYNTHESIS_WORKSPACE: home.workspace,
      SYNTHESIS_ENGINE: engine,
      SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
      SYNTHESIS_LOG_LEVEL: "info",
    });
    all.defer(async () => void (await server.stop()));
    return { engine, server };
  }),
);

// OpenClaw finds claude on its PATH and takes the address of the API from its environment.
const bin = join(home.base, "bin");
mkdirSync(bin);
writeFileSync(
  join(bin, "claude"),
  `#!/bin/sh\nexport ANTHROPIC_BASE_URL='${mock.url}' ANTHROPIC_API_KEY='${home.env.ANTHROPIC_API_KEY}'\nexec '${REAL_CLAUDE}' "$@"\n`,
  { mode: 0o755 },
);
const openclaw = await createOpenClaw(
  {
    models: {
      providers: {
        ...Object.fromEntries(
          servers.map(({ engine, server }) => [`synthesis-${engine}`, provider(server.url, server.key)]),
        ),
        instant: provider(instant.url, "a-key"),
      },
    },
    // One agent for all. With every change of the agent OpenClaw opens a database again, in a new thread, and lets another
    // process check it. That takes longer than the turn.
    agents: { defaults: { model: `claude-cli/${MODEL}`, workspace: home.workspace } },
  },
  // Otherwise OpenClaw looks into /usr/bin first.
  {
    PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH}`,
    HOME: home.home,
    OPENCLAW_PATH_BOOTSTRAPPED: "1",
    OPENCLAW_TRAJECTORY: process.env.OPENCLAW_TRAJECTORY ?? "1",
  },
);
all.use(openclaw);
await openclaw.startGateway();

const ways: readonly Way[] = [
  { name: "claude-cli backend", model: `claude-cli/${MODEL}`, hasClaude: true },
  ...servers.map(({ engine, server }) => ({
    name: `synthesis, ${engine}`,
    model: `synthesis-${engine}/synthesis-claude-bridge`,
    hasClaude: true,
    server: server.pid,
  })),
  { name: "no Claude", model: "instant/synthesis-claude-bridge", hasClaude: false },
];

/** The times from the start of a turn to the model request, the first text and the end, and CPU times, in ms. */
interface Timing {
  readonly request: number;
  readonly first: number;
  readonly end: number;
  readonly gatewayCpu: number;
  /** Of synthesis, without claude. */
  readonly serverCpu: number;
}

/** CPU time of all threads of a process in ms; 0 where there is no /proc. */
function cpuTime(pid: number): number {
  const folder = `/proc/${pid}/task`;
  if (!existsSync(folder)) return 0;
  // The first field counts nanoseconds.
  const threads = readdirSync(folder).map((thread) => readFileSync(`${folder}/${thread}/schedstat`, "utf8"));
  return threads.reduce((sum, line) => sum + Number(line.split(" ")[0]) / 1e6, 0);
}

const [gateway = 0] = withCommand(descendants(openclaw.gatewayPid()), /openclaw-gateway/);

async function turn({ name, model, server }: Way, chat: string): Promise<Timing> {
  const cpu = { gateway: cpuTime(gateway), server: server ? cpuTime(server) : 0 };
  const start = performance.now();
  const response = await openclaw.chat(
    { stream: true, messages: [{ role: "user", content: "a bench message" }] },
    { "x-openclaw-session-key": `agent:main:${chat}`, "x-openclaw-model": model },
  );
  let first = 0;
  let answer = "";
  for await (const part of texts(response)) {
    first ||= performance.now();
    answer += part;
  }
  const end = performance.now() - start;
  if (answer.trim() !== DELTAS.join("").trim()) throw new Error(`${name} answered: ${answer}`);
  return {
    request: modelAt - start,
    first: first - start,
    end,
    gatewayCpu: cpuTime(gateway) - cpu.gateway,
    serverCpu: server ? cpuTime(server) - cpu.server : 0,
  };
}

/** Ends the claude processes of a way, as if they had been idle for too long. */
async function endProcesses({ name, server }: Way): Promise<void> {
  const claudes = withCommand(descendants(server ?? gateway), /bin\/claude\b/);
  if (claudes.length === 0) throw new Error(`no claude runs for the ${name}`);
  for (const pid of claudes) process.kill(pid, "SIGTERM");
  await waitForExit(claudes);
}

const KINDS = ["new", "warm", "resumed"] as const;
type Kind = (typeof KINDS)[number];
const timings = new Map(ways.map((way) => [way, { new: [], warm: [], resumed: [] } as Record<Kind, Timing[]>]));

for (let round = 0; round <= rounds; round += 1) {
  const measure = async (kind: Kind, way: Way) => {
    await Bun.sleep(SETTLE_MS);
    const timing = await turn(way, `${way.model.split("/")[0]}-${round}`);
    // The first round compiles the code of all programs and is not counted.
    if (round > 0) timings.get(way)?.[kind].push(timing);
  };
  for (const way of ways) await measure("new", way);
  for (let index = 0; index < WARM_TURNS; index += 1) for (const way of ways) await measure("warm", way);
  for (const way of ways.filter(({ hasClaude }) => hasClaude)) {
    await endProcesses(way);
    await measure("resumed", way);
    await endProcesses(way);
  }
  console.error(`round ${round} of ${rounds}`);
}

console.log(`\nthrough OpenClaw, medians of ${rounds} rounds, in ms; ratios to the first row of a kind\n`);
console.log(
  "| turn | way | model request | ratio | first text | ratio | end | ratio | gateway CPU | synthesis CPU |\n|---|---|---|---|---|---|---|---|---|---|",
);
for (const kind of KINDS) {
  const of = (way: Way | undefined, figure: keyof Timing) =>
    median((way && timings.get(way)?.[kind].map((timing) => timing[figure])) ?? []);
  for (const way of ways) {
    if (timings.get(way)?.[kind].length === 0) continue;
    const cells = (["request", "first", "end"] as const).map(
      (figure) => `${of(way, figure).toFixed(0)} | ${(of(way, figure) / of(ways[0], figure)).toFixed(2)}`,
    );
    const cpu = `${of(way, "gatewayCpu").toFixed(0)} | ${of(way, "serverCpu").toFixed(0)}`;
    console.log(`| ${kind} | ${way.name} | ${cells.join(" | ")} | ${cpu} |`);
  }
}
