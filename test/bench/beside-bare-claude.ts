/**
 * The stream engine beside a bare `claude` over stream-json (`bare-claude.ts`): same claude, same mock of the API, one run,
 * taking turns. Every figure is taken at the client: for the bare claude that is the reader of its output, for synthesis
 * an HTTP client. Each has its own HOME, because files that the claudes of one write would wake the other.
 */
import { join } from "node:path";
import { measureTrees } from "../../src/claude/pool/memory.ts";
import { type ClaudeHome, createClaudeHome } from "../support/claude-home.ts";
import { type MockAnthropic, text } from "../support/mock-anthropic.ts";
import { REAL_CLAUDE, startServer, type TestServer } from "../support/server.ts";
import { ask, texts } from "../support/sse.ts";
import { startBareClaude } from "./bare-claude.ts";
import { median } from "./median.ts";

/** The first turns of a server take longer, until its code is compiled. */
const WARM_TURNS = 80;
const CONVERSATIONS = 8;
const TURNS_EACH = 10;
const ROUNDS = 3;
const STARTS = 8;
/** claude takes a message before its start is complete. A spare is given this time, in ms, as it has in practice. */
const SETTLE_MS = 2_000;
/** How long nothing runs before the memory is measured, in ms. */
const REST_MS = 3_000;
const WORDS = 120;
/** Between two words of the model, in ms. */
const WORD_MS = 20;

interface Answer {
  readonly firstText: number;
  readonly end: number;
  /** The longest time between two texts. */
  readonly silence: number;
}

/** Sends a message, and calls `onText` for each text of the answer. Resolves at its end. */
type Say = (content: string, onText: () => void) => Promise<unknown>;

async function time(say: Say, content = "hello"): Promise<Answer> {
  const start = performance.now();
  const at: number[] = [];
  await say(content, () => at.push(performance.now() - start));
  const end = performance.now() - start;
  const silence = Math.max(0, ...at.slice(1).map((one, index) => one - (at[index] ?? 0)));
  return { firstText: at[0] ?? Number.NaN, end, silence };
}

/** Through a server, in the conversation of `user`. */
const through =
  (server: TestServer, user: string): Say =>
  async (content, onText) => {
    for await (const _ of texts(await server.post(ask(content, { user })))) onText();
  };

/** Measures both, and prints a table of ratios. */
export async function measureBesideBareClaude(mock: MockAnthropic): Promise<void> {
  mock.on(/paragraph/, async function* () {
    for (let word = 0; word < WORDS; word += 1) {
      yield text(`word${word} `);
      await Bun.sleep(WORD_MS);
    }
  });
  const [ofBare, ofServer] = [createClaudeHome({ api: mock.url }), createClaudeHome({ api: mock.url })];
  const server = await start(ofServer, "state");
  console.log("\n| beside a bare claude over stream-json | bare | synthesis | ratio | target |\n|---|---|---|---|---|");
  await measureRunning(ofBare, server);
  await measureStarts(ofBare, server);
  await server.stop();
  await measureSpares(ofBare, ofServer);
  ofBare.remove();
  ofServer.remove();
}

const start = (home: ClaudeHome, state: string, settings: Record<string, string> = {}) =>
  startServer({
    ...home.env,
    SYNTHESIS_HOME: join(home.base, state),
    SYNTHESIS_WORKSPACE: home.workspace,
    SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
    SYNTHESIS_ENGINE: "stream",
    SYNTHESIS_MAX_PROCESSES: "64",
    SYNTHESIS_LOG_LEVEL: "info",
    ...settings,
  });

function print(what: string, bare: number, ours: number, target: string, digits = 0): void {
  const ratio = (ours / bare).toFixed(2);
  console.log(`| ${what} | ${bare.toFixed(digits)} | ${ours.toFixed(digits)} | ${ratio} | ${target} |`);
}

/** Turns of eight conversations that run already. */
async function measureRunning(home: ClaudeHome, server: TestServer): Promise<void> {
  const bare = Array.from({ length: CONVERSATIONS }, () =>
    startBareClaude(home.env, home.workspace, crypto.randomUUID()),
  );
  const pair = [bare.map(({ say }) => say), bare.map((_, user) => through(server, `${user}`))] as const;
  for (const all of pair) await Promise.all(all.map((say) => time(say)));
  await Bun.sleep(SETTLE_MS);

  const warm: [Answer[], Answer[]] = [[], []];
  const silence: [number[], number[]] = [[], []];
  const perSecond: [number[], number[]] = [[], []];
  for (let turn = 0; turn < WARM_TURNS; turn += 1) {
    for (const side of [0, 1] as const) warm[side].push(await time(pair[side][0] as Say));
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of [0, 1] as const) silence[side].push((await time(pair[side][0] as Say, "paragraph")).silence);
    for (const side of [0, 1] as const) {
      const { end } = await time(() => Promise.all(pair[side].map((say) => repeat(say))));
      perSecond[side].push((CONVERSATIONS * TURNS_EACH * 1_000) / end);
    }
  }
  const [first, last] = [(one: Answer) => one.firstText, (one: Answer) => one.end];
  print("warm: first text, ms", median(warm[0].map(first)), median(warm[1].map(first)), "≤ 1.15");
  print("warm: end, ms", median(warm[0].map(last)), median(warm[1].map(last)), "≤ 1.15");
  print("turns/s of eight conversations", median(perSecond[0]), median(perSecond[1]), "≥ 0.9", 1);
  await Bun.sleep(REST_MS);
  const trees = await measureTrees([...bare.map(({ pid }) => pid), server.pid]);
  const megabytes = [...trees.values()].map((bytes) => bytes / 1024 / 1024);
  const ours = (trees.get(server.pid) ?? 0) / 1024 / 1024;
  print("memory of the eight, MB", megabytes.reduce((sum, one) => sum + one, 0) - ours, ours, "≤ 1.1");
  print("longest silence in a paragraph, ms", median(silence[0]), median(silence[1]), "≤ 2");
  await Promise.all(bare.map(({ stop }) => stop()));
}

async function repeat(say: Say): Promise<void> {
  for (let turn = 0; turn < TURNS_EACH; turn += 1) await say("hello", () => {});
}

/** The first text of a process that the message starts: in a new conversation, and in one that is resumed. */
async function measureStarts(home: ClaudeHome, server: TestServer): Promise<void> {
  const fresh: [number[], number[]] = [[], []];
  const resumed: [number[], number[]] = [[], []];
  for (let round = 0; round < STARTS; round += 1) {
    const session = crypto.randomUUID();
    for (const times of [fresh, resumed]) {
      times[0].push(await timeBareStart(home, session, times === resumed));
      times[1].push((await time(through(server, `start-${round}`))).firstText);
      await endClaude(server, `user:start-${round}`);
    }
  }
  print("a new conversation: first text, ms", median(fresh[0]), median(fresh[1]), "≤ 1.1");
  print("a resumed conversation: first text, ms", median(resumed[0]), median(resumed[1]), "≤ 1.1");
}

/** @returns the time from the start of a bare claude to its first text, in ms */
async function timeBareStart(home: ClaudeHome, session: string, resume: boolean): Promise<number> {
  let claude: ReturnType<typeof startBareClaude> | undefined;
  const { firstText } = await time((content, onText) => {
    claude = startBareClaude(home.env, home.workspace, session, resume);
    return claude.say(content, onText);
  });
  await claude?.stop();
  return firstText;
}

/** Ends the newest process of a conversation, as the user's machine might. */
async function endClaude(server: TestServer, session: string): Promise<void> {
  const started = [...server.log().matchAll(new RegExp(`"claude started".*"session":"${session}","pid":(\\d+)`, "g"))];
  const pid = Number(started.at(-1)?.[1]);
  process.kill(pid, "SIGTERM");
  await server.logged(new RegExp(`claude exited.*"pid":${pid}\\b`));
}

/** The first text of a new conversation for which a process was started beforehand. */
async function measureSpares(ofBare: ClaudeHome, ofServer: ClaudeHome): Promise<void> {
  const server = await start(ofServer, "spares", { SYNTHESIS_SPARES: "1" });
  await time(through(server, "first"));
  const times: [number[], number[]] = [[], []];
  for (let round = 1; round <= STARTS; round += 1) {
    while (server.log().match(/claude ready.*"spare:/g)?.length !== round) await Bun.sleep(50);
    await Bun.sleep(SETTLE_MS);
    times[0].push(await timeBareStart(ofBare, crypto.randomUUID(), false));
    times[1].push((await time(through(server, `spare-${round}`))).firstText);
  }
  await server.stop();
  print("the same as new, with a spare: first text, ms", median(times[0]), median(times[1]), "≤ 0.25");
}
