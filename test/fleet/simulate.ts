/**
 * `bun run simulate:fleet` measures what a fleet asks of Postgres: a private one on this machine, with the real tables and
 * the statements of src/fleet, 1 000 nodes and 1 000 000 conversations. It prints a table and checks nothing. `--short`
 * is a small fleet and takes seconds; `--nodes` and `--conversations` choose other sizes.
 */
import { parseArgs } from "node:util";
import { type Claim, claim, release } from "../../src/fleet/claims.ts";
import { deleteExpired } from "../../src/fleet/expired.ts";
import { connect } from "../../src/store/postgres/connect.ts";
import { migrateFleet } from "../../src/store/postgres/migrate.ts";
import { startPostgres } from "../support/postgres.ts";
import { atFullSpeed, atRates, type Measured } from "./load-meter.ts";
import {
  claimAndRelease,
  fill,
  HELD_BY_NODE,
  keyOf,
  runTurn,
  type SimulatedNode,
  startNode,
  take,
} from "./simulated-fleet.ts";

const { values } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    nodes: { type: "string" },
    conversations: { type: "string" },
  },
});
const NODES = Number(values.nodes ?? (values.short ? 50 : 1_000));
const CONVERSATIONS = Number(values.conversations ?? (values.short ? 20_000 : 1_000_000));
const SECONDS = values.short ? 2 : 10;
/** As many as the connections of a client. */
const AT_ONCE = 8;
/** So many of the nodes are lost, and so many are drained. */
const MOVED = Math.ceil(NODES / 10);
const atRest = CONVERSATIONS - NODES * HELD_BY_NODE;
if (atRest < 1_000)
  throw new Error(`${NODES} nodes have more than ${CONVERSATIONS} conversations. Choose more of them.`);

// As in a real database, a commit is on the disk when it is acknowledged.
await using server = await startPostgres({ fsync: "on", shared_buffers: "1GB", max_wal_size: "4GB" });
await server.createDatabase("fleet");
const postgres = connect(server.url("fleet"));
await migrateFleet(postgres);

const report = (what: string, figures: string, cpu = "") => console.log(`| ${what} | ${figures} | ${cpu} |`);
const round = (value: number, digits = 0) =>
  value.toLocaleString("en", { maximumFractionDigits: digits }).replaceAll(",", " ");
const reportRate = (what: string, { perSecond, p50, p99, postgres: cores }: Measured) =>
  report(
    what,
    `${round(perSecond)}/s, p50 ${round(p50, 1)} ms, p99 ${round(p99, 1)} ms`,
    `${cores.toFixed(2)} cores, ${round((cores / perSecond) * 1_000, 2)} ms each`,
  );
const size = (relation: string) =>
  server.query(`SELECT pg_total_relation_size('${relation}') / 1000000`, "fleet").then((text) => `${text.trim()} MB`);

console.log(
  `${round(NODES)} nodes, ${round(CONVERSATIONS)} conversations\n\n| What | Figures | CPU of Postgres |\n|---|---|---|`,
);
const nodes: SimulatedNode[] = [];
for (let number = 0; number < NODES; number += 1) nodes.push(await startNode(postgres, `node-${number}`));
await fill(server, nodes, CONVERSATIONS);
report(
  "on the disk: claims; conversations; one turn of each",
  (await Promise.all(["claims", "sessions", "turns"].map(size))).join("; "),
);

const looking = performance.now();
await deleteExpired(postgres, 1);
report("look through all of them for what has expired", `${round((performance.now() - looking) / 1_000, 1)} s`);

const node = (number: number) => nodes[number % NODES] as SimulatedNode;
/** A conversation that no node has, another one each time. */
const restingKey = (number: number) => keyOf(NODES * HELD_BY_NODE + ((number * 7_919) % atRest));
/** The claim on a conversation that a node has since `fill`, which deals them out in turn. */
const heldBy = (key: string): Claim => ({ key, node: node(Number(key.split(":").at(-1))).lease.id, epoch: 1, seq: 3 });
const heldKey = (number: number) => keyOf((number * 7_919) % (NODES * HELD_BY_NODE));
const full = { seconds: SECONDS, atOnce: AT_ONCE };
const renew = (number: number) => node(number).renew();
const claimOnce = (number: number) => claimAndRelease(postgres, restingKey(number), node(number));
/** Claims that have changed with a turn. */
const changed = new Map<string, Claim>();
const turn = async (number: number) => {
  const key = heldKey(number);
  changed.set(key, await runTurn(postgres, changed.get(key) ?? heldBy(key), number));
};

reportRate("renewals of leases, at full speed", await atFullSpeed(server.pid, full, renew));
reportRate("claim and release, at full speed", await atFullSpeed(server.pid, full, claimOnce));
reportRate("turns: start and end, at full speed", await atFullSpeed(server.pid, full, turn));
const mix = [
  { perSecond: NODES / 5, operation: renew },
  { perSecond: NODES / 10, operation: claimOnce },
  { perSecond: (NODES * 3) / 10, operation: turn },
];
const mixText = `${mix[0]?.perSecond} renewals, ${mix[1]?.perSecond} claims with release, ${mix[2]?.perSecond} turns a second`;
reportRate(mixText, await atRates(server.pid, SECONDS, mix));

/** Lets the other nodes have all conversations of the nodes from this one on. */
async function move(from: number, moveOne: (key: string, to: SimulatedNode) => Promise<unknown>): Promise<string> {
  const at = performance.now();
  // `fill` deals the conversations out in turn.
  const keys = Array.from({ length: MOVED * HELD_BY_NODE }, (_, index) =>
    keyOf(from + (index % MOVED) + Math.floor(index / MOVED) * NODES),
  );
  const next = keys.entries();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const [index, key] of next) await moveOne(key, node(MOVED * 2 + (index % (NODES - MOVED * 2))));
    }),
  );
  const seconds = (performance.now() - at) / 1_000;
  return `${round(keys.length)} conversations in ${round(seconds, 1)} s, ${round(keys.length / seconds)}/s`;
}

const lost = nodes.slice(0, MOVED).map(({ lease }) => `'${lease.id}'`);
await server.query(`UPDATE nodes SET lease_until = now() - interval '1 s' WHERE id IN (${lost.join(",")})`, "fleet");
const evicting = performance.now();
for (let number = 0; number < MOVED; number += 1) await claim(postgres, keyOf(number), node(MOVED * 2).lease.id);
report(`evict ${MOVED} lost nodes, each at a claim`, `${round(performance.now() - evicting)} ms`);
report("claim their conversations", await move(0, (key, to) => claim(postgres, key, to.lease.id)));
const handOver = async (key: string, to: SimulatedNode) => {
  await release(postgres, heldBy(key));
  await take(postgres, key, to);
};
report(`drain ${MOVED} nodes, and claim their conversations`, await move(MOVED, handOver));
await postgres.close();
