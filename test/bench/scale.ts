/**
 * `bun run bench:scale` shows how the cost of a turn grows: with the number of conversations, with their turns, with the
 * size of their transcripts and of their requests. All with stand-ins, Linux only. It takes some minutes, prints tables
 * and asserts nothing.
 */
import { appendFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { openStore } from "../../src/store/database.ts";
import { sessions } from "../../src/store/schema.ts";
import { type ClaudeHome, createClaudeHome } from "../support/claude-home.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { standInClaude } from "../support/world.ts";
import { ask, endWithBench, startConversations } from "./load.ts";
import { cpuMs, memoryText } from "./process-cost.ts";

const MEGABYTE = 1024 * 1024;
/** How many turns each figure is the mean of. */
const TURNS = 40;
const WARM_UP_TURNS = 200;
const ENGINES = ["interactive", "stream"] as const;
type Engine = (typeof ENGINES)[number];

/** Starts a server with a home of its own, and ends both after `use`. */
async function withServer(
  engine: Engine,
  processes: number,
  use: (server: TestServer, home: ClaudeHome) => Promise<void>,
  prepare: (state: string) => void = () => {},
): Promise<void> {
  const home = createClaudeHome({ api: "http://127.0.0.1:9" });
  const state = join(home.base, "state");
  prepare(state);
  const env = {
    ...home.env,
    SYNTHESIS_HOME: state,
    SYNTHESIS_WORKSPACE: home.workspace,
    SYNTHESIS_CLAUDE_BIN: standInClaude(home.base),
    SYNTHESIS_ENGINE: engine,
    // One of them warms up.
    SYNTHESIS_MAX_PROCESSES: `${processes + 1}`,
    SYNTHESIS_MEMORY_MB: "60000",
    SYNTHESIS_LOG_LEVEL: "warning",
  };
  const server = endWithBench(await startServer(env));
  try {
    // The code of a turn gets compiled while it runs.
    for (let turn = 0; turn < WARM_UP_TURNS; turn += 1) await ask(server, "warm-up", "hello");
    await use(server, home);
  } finally {
    await server.stop();
    home.remove();
  }
}

/** The bytes that a process has read so far, from files, pipes and sockets. */
const bytesRead = (pid: number) => Number(/^rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);

/** Measures turns, after some that warm up. @returns the cells of a row */
async function cost(server: TestServer, turn: (at: number) => Promise<unknown>, turns = TURNS): Promise<string> {
  for (let at = 0; at < turns / 4; at += 1) await turn(at);
  const [cpu, bytes] = [cpuMs(server.pid), bytesRead(server.pid)];
  for (let at = 0; at < turns; at += 1) await turn(at);
  const kilobytes = (bytesRead(server.pid) - bytes) / turns / 1024;
  return `${((cpuMs(server.pid) - cpu) / turns).toFixed(2)} | ${kilobytes.toFixed(0)} | ${memoryText(server.pid)} |`;
}

function printHead(what: string): void {
  console.log(`\n| ${what} | engine | CPU ms/turn | kB read/turn | server MB (resident / proportional / own) |`);
  console.log("|---|---|---|---|---|");
}

/** Conversations in the database, and how many of them have a process. */
async function measureConversations(): Promise<void> {
  printHead("conversations known, with a process");
  const sizes = [
    [1, 1],
    [20, 20],
    [200, 200],
    [2_000, 200],
  ] as const;
  for (const engine of ENGINES) {
    for (const [known, running] of sizes) {
      await withServer(
        engine,
        running,
        async (server) => {
          await startConversations(server, running);
          const cells = await cost(server, (at) => ask(server, `${at % running}`, "hello"));
          console.log(`| ${known}, ${running} | ${engine} | ${cells}`);
        },
        (state) => addConversations(state, known - running),
      );
    }
  }
}

/** Writes conversations that have no process into the database of a server that does not run yet. */
function addConversations(state: string, count: number): void {
  if (count === 0) return;
  const paths = pathsFor(state);
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  const { store } = openStore(paths.database);
  const now = Date.now();
  for (let at = 0; at < count; at += 1) {
    const row = {
      key: `user:known-${at}`,
      source: "user",
      claudeSession: crypto.randomUUID(),
      workspace: state,
      launchHash: "",
      createdAt: now,
      lastActiveAt: now,
    };
    store.database.insert(sessions).values(row).run();
  }
  store.close();
}

/** Turns of one conversation, from a client that sends only its new message, and from one that sends all of them. */
async function measureHistory(): Promise<void> {
  printHead("turns so far, what the client sends");
  for (const engine of ENGINES) {
    await withServer(engine, 2, async (server) => {
      let turns = 0;
      for (const size of [1, 20, 200, 1_000, 2_000]) {
        for (; turns < size; turns += 1) await ask(server, "new", "hello");
        console.log(
          `| ${size}, the new message | ${engine} | ${await cost(server, () => ask(server, "new", "hello"))}`,
        );
        turns += TURNS * 1.25;
      }
      const messages: object[] = [];
      const next = async () => {
        const content = `message ${messages.length / 2}`;
        messages.push({ role: "user", content });
        await ask(server, "all", content, { messages });
        messages.push({ role: "assistant", content: `You said: ${content}` });
      };
      for (const size of [1, 20, 200, 1_000, 2_000]) {
        while (messages.length / 2 < size) await next();
        console.log(`| ${size}, the whole history | ${engine} | ${await cost(server, next)}`);
      }
    });
  }
}

/** Turns of one conversation whose transcript has grown. */
async function measureTranscripts(): Promise<void> {
  printHead("transcript, MB");
  for (const engine of ENGINES) {
    await withServer(engine, 1, async (server, home) => {
      await ask(server, "0", "It grows.");
      const folder = join(home.home, ".claude/projects/stand-in");
      const transcript = join(
        folder,
        readdirSync(folder).find((name) => readFileSync(join(folder, name), "utf8").includes("grows")) as string,
      );
      const content = [{ type: "text", text: "x".repeat(10_000) }];
      const row = `${JSON.stringify({ type: "assistant", message: { id: "earlier", content } })}\n`;
      const rows = row.repeat(Math.ceil(MEGABYTE / row.length));
      let size = 0;
      for (const megabytes of [1, 20, 200]) {
        for (; size < megabytes; size += 1) appendFileSync(transcript, rows);
        console.log(`| ${megabytes} | ${engine} | ${await cost(server, () => ask(server, "0", "hello"))}`);
      }
    });
  }
}

/**
 * Turns whose request has a long message in its history: the client sends it again each time. The longest one is an
 * image, because messages have at most four million characters.
 */
async function measureRequests(): Promise<void> {
  printHead("request, kB");
  for (const engine of ENGINES) {
    for (const kilobytes of [1, 64, 1_024, 3_584, 8_192]) {
      await withServer(engine, 1, async (server) => {
        // The answer repeats a text.
        const long = "word ".repeat((kilobytes * 1024) / 5 / 2);
        const isImage = kilobytes === 8_192;
        const messages: object[] = [{ role: "user", content: isImage ? imageOf(kilobytes) : long }];
        const said = /"content":"You said: ((?:[^"\\]|\\.)*)/;
        const first = said.exec(await ask(server, "0", "", { messages }))?.[1] ?? "";
        messages.push({ role: "assistant", content: `You said: ${isImage ? JSON.parse(`"${first}"`) : long}` });
        const next = async () => {
          messages.push({ role: "user", content: "hello" });
          await ask(server, "0", "", { messages });
          messages.push({ role: "assistant", content: "You said: hello" });
        };
        const what = `${kilobytes}${isImage ? ", an image" : ""}`;
        console.log(`| ${what} | ${engine} | ${await cost(server, next, TURNS / 2)}`);
      });
    }
  }
}

/** A message with an image whose request has this size. */
function imageOf(kilobytes: number): object[] {
  const start = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", "base64");
  const bytes = Buffer.concat([start, Buffer.alloc((kilobytes * 1024 * 3) / 4, 1)]);
  const url = `data:image/png;base64,${bytes.toString("base64")}`;
  return [
    { type: "text", text: "Look." },
    { type: "image_url", image_url: { url } },
  ];
}

const parts = { measureConversations, measureHistory, measureTranscripts, measureRequests };
for (const [name, measure] of Object.entries(parts)) {
  if (process.argv[2] === undefined || name.toLowerCase().endsWith(process.argv[2])) await measure();
}
process.exit(0);
