/** A fleet without servers for `bun run simulate:fleet`: its leases, claims and turns are real rows, made by src/fleet. */
import type { Clock } from "../../src/core/clock.ts";
import { type Claim, claim, release } from "../../src/fleet/claims.ts";
import { type Lease, startLease } from "../../src/fleet/lease.ts";
import { commit } from "../../src/fleet/ledger.ts";
import { type StoredRow, TRACKED, type TrackedTable } from "../../src/fleet/tracked-tables.ts";
import type { Postgres } from "../../src/store/postgres/connect.ts";
import type { TestPostgres } from "../support/postgres.ts";

/** Of a node, as on a machine with 64 processes: as many conversations have a process, and all others are at rest. */
export const HELD_BY_NODE = 64;
/** What a turn of four model calls adds to a transcript, before compression. */
const TRANSCRIPT_BYTES = 8_000;
const LEASE_MS = 60_000;
const DATABASE = "fleet";

export interface SimulatedNode {
  readonly lease: Lease;
  /** Renews the lease now. @throws Error when that fails */
  renew(): Promise<void>;
}

/** @returns a node with a lease, which is renewed only when it is asked to */
export async function startNode(postgres: Postgres, name: string): Promise<SimulatedNode> {
  let renewalIsDue = () => {};
  let noteEnd = () => {};
  let renewals = 0;
  const clock: Clock = {
    now: () => performance.now(),
    wallTime: () => Date.now(),
    // Of the timers of a lease, the renewal is the one that is due within a tenth of it.
    after: (ms, run) => {
      if (ms > LEASE_MS / 10) return () => {};
      renewalIsDue = run;
      noteEnd();
      return () => {};
    },
  };
  const lease = await startLease({
    postgres,
    clock,
    name,
    url: `https://${name}:18991`,
    version: "0.1.0",
    leaseMs: LEASE_MS,
    places: HELD_BY_NODE,
    load: () => ({ used: HELD_BY_NODE, waiting: 0, typicalTurnMs: 20_000 }),
    onRenewed: () => {
      renewals += 1;
    },
    afterRenewal: () => {},
    onLate: () => {},
    onEvicted: () => {},
  });
  return {
    lease,
    renew: async () => {
      const before = renewals;
      const { promise, resolve } = Promise.withResolvers<void>();
      noteEnd = resolve;
      renewalIsDue();
      await promise;
      if (renewals === before) throw new Error(`the lease of ${name} was not renewed`);
    },
  };
}

export const keyOf = (conversation: number): string => `agent:main:telegram:direct:${conversation}`;

/** Writes conversations with one turn each. The nodes have as many as they can; no node has the others. */
export async function fill(
  postgres: TestPostgres,
  nodes: readonly SimulatedNode[],
  conversations: number,
): Promise<void> {
  const ids = nodes.map(({ lease }) => `'${lease.id}'`).join(",");
  const key = `'${keyOf(0).slice(0, -1)}' || i`;
  const session = "md5('session' || i)::uuid::text";
  const [print, tokens] = [`'["' || md5(i::text) || md5('b' || i) || '"]'`, "1200 + i % 900"];
  await postgres.query(
    `SET synchronous_commit = off;
    INSERT INTO claims (key, node, epoch, seq)
      SELECT ${key}, CASE WHEN i < ${nodes.length * HELD_BY_NODE} THEN (ARRAY[${ids}]::uuid[])[1 + i % ${nodes.length}] END, 1, 3
      FROM generate_series(0, ${conversations - 1}) i;
    INSERT INTO sessions (key, source, agent, claude_session, workspace, launch_hash, model, affinity, generation, created_at,
        last_active_at, turns)
      SELECT ${key}, 'session-key', 'main', ${session}, '/srv/workspaces/main', md5('hash' || i), 'opus',
        md5('affinity' || i)::uuid::text, 0, 1764000000000 + i, 1764000000000 + i, 1
      FROM generate_series(0, ${conversations - 1}) i;
    INSERT INTO turns (id, session, claude_session, state, prompt_id, prints, past_prints, dropped, queued_at, process_origin,
        sent_at, received_at, first_text_at, ended_at, tokens_in, tokens_out, tokens_cached, usage_open, response_deleted, epoch)
      SELECT md5('turn' || i)::uuid::text, ${key}, ${session}, 'done', md5('prompt' || i)::uuid::text, ${print}, ${print}, 0,
        1764000000000 + i, 'warm', 1764000000000 + i, 1764000000010 + i, 1764000001000 + i, 1764000009000 + i, ${tokens}, 300,
        20000, false, false, 1
      FROM generate_series(0, ${conversations - 1}) i;
    SET synchronous_commit = on;`,
    DATABASE,
  );
  // Otherwise Postgres does so by itself while it is measured.
  await postgres.query("VACUUM ANALYZE", DATABASE);
  await postgres.query("CHECKPOINT", DATABASE);
  // The process of a connection that has ended counts as one of the next measurement until Postgres has noticed its end.
  await Bun.sleep(1_000);
}

/** Claims a conversation that no node has, and gives it back. */
export async function claimAndRelease(postgres: Postgres, key: string, node: SimulatedNode): Promise<void> {
  await release(postgres, await take(postgres, key, node));
}

/** @throws Error when another node has it */
export async function take(postgres: Postgres, key: string, { lease }: SimulatedNode): Promise<Claim> {
  const result = await claim(postgres, key, lease.id);
  if ("owner" in result) throw new Error(`${key} belongs to ${result.owner.name}`);
  return result.claim;
}

const table = (name: string): TrackedTable => {
  const found = TRACKED.find((one) => one.name === name);
  if (!found) throw new Error(`there is no table ${name}`);
  return found;
};
const [sessions, turns, figures] = [table("sessions"), table("turns"), table("session_figures")];
/** As large as a real piece after compression, which a random text alone would not be. */
const piece = Bun.zstdCompressSync(
  Buffer.from(JSON.stringify({ text: crypto.getRandomValues(Buffer.alloc(TRANSCRIPT_BYTES / 5)).toString("hex") })),
);

/** Starts a turn and ends it, as a node does: one commit before the message is sent, one with the transcript at the end. */
export async function runTurn(postgres: Postgres, held: Claim, seq: number): Promise<Claim> {
  const now = Date.now();
  const claudeSession = crypto.randomUUID();
  const session = {
    ...emptyRow(sessions),
    key: held.key,
    source: "session-key",
    agent: "main",
    claude_session: claudeSession,
    workspace: "/srv/workspaces/main",
    launch_hash: Bun.hash(held.key).toString(16),
    model: "opus",
    created_at: now,
    last_active_at: now,
    turns: seq,
  };
  const prints = JSON.stringify([crypto.randomUUID(), crypto.randomUUID()]);
  const started = {
    ...emptyRow(turns),
    id: crypto.randomUUID(),
    session: held.key,
    claude_session: claudeSession,
    state: "sent",
    prints,
    past_prints: prints,
    dropped: 0,
    queued_at: now,
    process_origin: "warm",
    sent_at: now,
    usage_open: 0,
    response_deleted: 0,
  };
  const ended = {
    ...started,
    state: "done",
    prompt_id: crypto.randomUUID(),
    received_at: now,
    first_text_at: now,
    ended_at: now,
    tokens_in: 1_200,
    tokens_out: 300,
    tokens_cached: 20_000,
    tools: JSON.stringify([{ name: "Bash", ms: 120 }]),
  };
  const figuresRow = { session: held.key, claude_session: claudeSession, figures: JSON.stringify({ costUsd: 0.02 }) };
  const pieces = [{ claudeSession, path: `transcript/-srv/${claudeSession}.jsonl`, seq: 0, bytes: piece }];
  const sending = await write(postgres, held, [
    [sessions, session],
    [turns, started],
  ]);
  return write(
    postgres,
    sending,
    [
      [sessions, session],
      [turns, ended],
      [figures, figuresRow],
    ],
    pieces,
  );
}

const emptyRow = ({ columns }: TrackedTable): StoredRow =>
  Object.fromEntries([...columns.keys()].map((name) => [name, null]));

async function write(
  postgres: Postgres,
  held: Claim,
  rows: readonly (readonly [TrackedTable, StoredRow])[],
  pieces: Parameters<typeof commit>[3]["pieces"] = [],
): Promise<Claim> {
  const changes = {
    rows: new Map(rows.map(([of, row]) => [of, [row]])),
    deleted: new Map(),
    isEmpty: false,
    last: 0,
  };
  const next = await commit(postgres, held, changes, { pieces, rewritten: [] }, []);
  if (!next) throw new Error(`${held.key} is no longer held`);
  return next;
}
