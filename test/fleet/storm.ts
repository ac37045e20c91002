/**
 * A storm: clients talk with conversations of three nodes while nodes are killed, frozen and cut off, and Postgres ends.
 * Then everything is well again, and what the clients have received must be true.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findMarked } from "../../src/claude/process-mark.ts";
import { answerText, ask } from "../support/sse.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { createFleet, type FleetWorld, type TestNode } from "./world.ts";

const LEASE_MS = 3_000;
const NODES = 3;
const CONVERSATIONS = 6;
const STRIKES = 5;
/** For everything that must happen after the storm. It is far above what it takes. */
const PATIENCE_MS = 60_000;
/** The watchdog looks once a second, and the machine may be busy. */
const TICK_MS = 2_500;

/** What the clients know of a conversation. */
interface Conversation {
  readonly user: string;
  /** The turns whose answers they received to the end, in order. */
  readonly acknowledged: string[];
  sent: number;
  lastRefusal: string;
}

export interface StormResult {
  readonly acknowledged: number;
  readonly refused: number;
  /** Acts of a claude after another one of its session had begun to act, within the watchdog's tick. */
  readonly staleActs: number;
  /** The longest time from the end of the storm until a conversation answered, in ms. */
  readonly recoveryMs: number;
  readonly strikes: readonly string[];
}

export class StormFailure extends Error {}

/** A generator of numbers from 0 to 1, the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export async function runStorm(seed: number): Promise<StormResult> {
  const chance = random(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(chance() * all.length)] as T;
  const between = (from: number, to: number) => from + chance() * (to - from);
  const proxies: TcpProxy[] = [];
  const folder = mkdtempSync(join(tmpdir(), "synthesis-storm-"));
  const acts = join(folder, "acts");
  appendFileSync(acts, "");
  await using fleet = await createFleet({
    nodes: NODES,
    standIn: true,
    leaseMs: LEASE_MS,
    database: async (url) => {
      const { port } = new URL(url);
      const proxy = await startTcpProxy({ host: "127.0.0.1", port: Number(port) });
      proxies.push(proxy);
      return url.replace(`:${port}/`, `:${proxy.port}/`);
    },
    env: { STAND_IN_ACTS: acts, SYNTHESIS_IDLE_KILL_MS: "4000", SYNTHESIS_DRAIN_MS: "1000" },
  });
  const conversations: Conversation[] = Array.from({ length: CONVERSATIONS }, (_, at) => ({
    user: `c${at}`,
    acknowledged: [],
    sent: 0,
    lastRefusal: "",
  }));
  const down = new Set<TestNode>();
  const strikes: string[] = [];
  let refused = 0;
  let isOver = false;
  let hadFreeze = false;

  /** @returns whether the answer was received to its end */
  async function send(
    conversation: Conversation,
    node: TestNode,
    leaveMs: number | null,
    longMs: number,
  ): Promise<boolean> {
    conversation.sent += 1;
    const name = `${conversation.user} ${conversation.sent}`;
    const content = longMs > 0 ? `hang ${Math.round(longMs)} ${name}` : name;
    const signal = AbortSignal.timeout(leaveMs ?? PATIENCE_MS);
    try {
      const response = await node.server.post(ask(content, { user: conversation.user }), {}, signal);
      if (response.status !== 200) {
        refused += 1;
        conversation.lastRefusal = `${node.name}: ${response.status} ${await response.text()}`;
        if (![429, 502, 503].includes(response.status)) {
          throw new StormFailure(`a message was answered with ${response.status}`);
        }
        return false;
      }
      const text = await answerText(response);
      // After an answer that broke off, Claude reads so before the message.
      if (!(text.startsWith("You said: ") && text.endsWith(content)))
        throw new StormFailure(`the answer to ${content} is ${text}`);
      conversation.acknowledged.push(response.headers.get("x-request-id") ?? "");
      return true;
    } catch (error) {
      if (error instanceof StormFailure) throw error;
      if (leaveMs === null && signal.aborted) throw new StormFailure(`${content} had no answer in ${PATIENCE_MS} ms`);
      // The node has ended, the client has left, or the answer ended with an error.
      return false;
    }
  }

  async function talk(conversation: Conversation): Promise<void> {
    while (!isOver) {
      const longMs = chance() < 0.5 ? between(1_000, LEASE_MS * 2.5) : 0;
      const leaveMs = chance() < 0.35 ? between(200, 2_500) : null;
      const isAnswered = await send(conversation, pick(fleet.nodes), leaveMs, longMs);
      await Bun.sleep(isAnswered ? between(0, 300) : between(100, 600));
    }
  }

  async function revive(node: TestNode): Promise<void> {
    await node.server.exited;
    await node.restart();
    down.delete(node);
  }

  /** Does harm, and undoes it a while later. */
  async function strike(): Promise<void> {
    const node = pick(fleet.nodes);
    const ms = between(500, LEASE_MS * 1.8);
    const kind = pick([
      "kill",
      "freeze",
      "cut",
      "stall",
      "stop",
      "restart Postgres",
      "crash Postgres",
      "freeze Postgres",
    ]);
    const at = fleet.nodes.indexOf(node);
    if (down.has(node)) return;
    strikes.push(`${kind} ${kind.endsWith("Postgres") ? "" : node.name} for ${Math.round(ms)} ms`);
    down.add(node);
    if (kind === "kill" || kind === "stop") {
      await node.server.stop(kind === "kill" ? "SIGKILL" : "SIGTERM");
      await Bun.sleep(ms);
      await revive(node);
    } else if (kind === "freeze") {
      hadFreeze = true;
      process.kill(node.server.pid, "SIGSTOP");
      await Bun.sleep(between(LEASE_MS, LEASE_MS * 3));
      process.kill(node.server.pid, "SIGCONT");
    } else if (kind === "cut" || kind === "stall") {
      proxies[at]?.[kind]();
      await Bun.sleep(ms);
      proxies[at]?.resume();
    } else if (kind === "freeze Postgres") {
      fleet.postgres.freeze();
      await Bun.sleep(ms);
      fleet.postgres.thaw();
    } else await fleet.postgres.restart(kind === "crash Postgres" ? "crash" : "fast");
    down.delete(node);
  }

  const talking = Promise.all(conversations.map(talk));
  // It is awaited below, after the storm.
  talking.catch(() => {});
  for (let at = 0; at < STRIKES; at += 1) {
    await Bun.sleep(between(200, 1_500));
    await strike();
  }
  isOver = true;
  await talking;

  const healedAt = performance.now();
  const recovered = await Promise.all(
    conversations.map(async (conversation) => {
      const at = performance.now();
      while (!(await send(conversation, pick(fleet.nodes), null, 0))) {
        if (performance.now() - at > PATIENCE_MS) {
          throw new StormFailure(`${conversation.user} did not recover: ${conversation.lastRefusal}`);
        }
        await Bun.sleep(200);
      }
      return performance.now() - healedAt;
    }),
  );

  await checkRecords(fleet, conversations);
  const staleActs = checkActs(acts, hadFreeze);
  await checkProcesses(fleet);
  rmSync(folder, { recursive: true });
  for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
  const acknowledged = conversations.reduce((sum, one) => sum + one.acknowledged.length, 0);
  return { acknowledged, refused, staleActs, recoveryMs: Math.max(...recovered), strikes };
}

/** Every answer that a client received to its end is recorded once and in order: in the table, and in the transcript. */
async function checkRecords({ postgres }: FleetWorld, conversations: readonly Conversation[]): Promise<void> {
  for (const { user, acknowledged } of conversations) {
    const rows = await postgres.query(`SELECT id, state FROM turns WHERE session = 'user:${user}' ORDER BY position`);
    const done = rows.split("\n").flatMap((row) => (row.endsWith("|done") ? row.split("|")[0] : []));
    const recorded = done.filter((id) => acknowledged.includes(id ?? ""));
    if (recorded.join() !== acknowledged.join()) {
      throw new StormFailure(`${user}: the clients know ${acknowledged}, the table has ${recorded}`);
    }
    const known = await transcriptMessages(postgres, user);
    const remembered = known.filter((id) => acknowledged.includes(id));
    if (remembered.join() !== acknowledged.join()) {
      throw new StormFailure(`${user}: the clients know ${acknowledged}, the transcript has ${remembered}`);
    }
  }
}

/** The ids of the messages in the transcript that Postgres has of a conversation. */
async function transcriptMessages(postgres: FleetWorld["postgres"], user: string): Promise<string[]> {
  const pieces = await postgres.query(
    `SELECT translate(encode(bytes, 'base64'), E'\\n', '') FROM files JOIN sessions USING (claude_session)
      WHERE key = 'user:${user}' AND path LIKE 'transcript/%' ORDER BY path, seq`,
  );
  const texts = pieces
    .trim()
    .split("\n")
    .map((piece) => Bun.zstdDecompressSync(Buffer.from(piece, "base64")).toString());
  const rows = texts.join("").split("\n").filter(Boolean);
  return rows.flatMap((row) => {
    const { type, message } = JSON.parse(row);
    return type === "user" && typeof message.content === "string"
      ? (/^<channel [^>]*message_id="([^"]+)"/.exec(message.content)?.[1] ?? [])
      : [];
  });
}

/**
 * Checks that no claude acts in a session in which another one has begun to act.
 * @param hadFreeze a server stood still, so its claudes may act until the watchdog's next tick
 */
function checkActs(file: string, hadFreeze: boolean): number {
  const acts = readFileSync(file, "utf8").trim().split("\n").filter(Boolean);
  const newest = new Map<string, { readonly pid: string; readonly since: number }>();
  const old = new Set<string>();
  let stale = 0;
  const timed = acts.map((act) => act.split(" ") as [string, string, string]);
  for (const [session, pid, time] of timed.toSorted((one, other) => Number(one[2]) - Number(other[2]))) {
    const known = newest.get(session);
    if (old.has(`${session} ${pid}`)) {
      stale += 1;
      const lateMs = Number(time) - (known?.since ?? 0);
      if (!hadFreeze || lateMs > TICK_MS) {
        throw new StormFailure(`a claude acts ${lateMs} ms after another one has begun in its session`);
      }
    } else if (known && known.pid !== pid) old.add(`${session} ${known.pid}`);
    if (known?.pid !== pid && !old.has(`${session} ${pid}`)) newest.set(session, { pid, since: Number(time) });
  }
  return stale;
}

/** Stops the nodes, and checks that no process of theirs is left. */
async function checkProcesses({ nodes }: FleetWorld): Promise<void> {
  for (const { server, name } of nodes) {
    const code = await server.stop();
    if (code !== 0) throw new StormFailure(`${name} ended with ${code}:\n${server.log().slice(-2_000)}`);
  }
  const deadline = performance.now() + PATIENCE_MS;
  const running = () => nodes.flatMap(({ home }) => findMarked(`HOME=${home.home}`));
  while (running().length > 0) {
    if (performance.now() > deadline) throw new StormFailure(`processes are left: ${running()}`);
    await Bun.sleep(50);
  }
}
