/** What an earlier owner of a conversation still writes changes nothing, whatever it believes. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { trackChanges } from "../../src/fleet/changes.ts";
import { type Claim, claim, findOwner, release } from "../../src/fleet/claims.ts";
import { commit } from "../../src/fleet/ledger.ts";
import { openMemoryStore } from "../../src/store/database.ts";
import { connect, type Postgres } from "../../src/store/postgres/connect.ts";
import { migrateFleet } from "../../src/store/postgres/migrate.ts";
import { createSessionStore } from "../../src/store/sessions.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const KEY = "user:ann";
const [A, B] = [crypto.randomUUID(), crypto.randomUUID()];

let server: TestPostgres;
let postgres: Postgres;

beforeAll(async () => {
  server = await startPostgres();
  postgres = connect(server.url());
  await migrateFleet(postgres);
}, 60_000);

afterAll(async () => {
  await postgres.close();
  await server[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await server.query("TRUNCATE nodes, claims, sessions, files CASCADE");
  for (const node of [A, B]) await startNode(node);
});

const startNode = (node: string) =>
  server.query(
    `INSERT INTO nodes VALUES ('${node}', '${node}', 'https://x', now() + '1 minute', false, 1, 0, 0, 0, '1')`,
  );
const endLease = (node: string) =>
  server.query(`UPDATE nodes SET lease_until = now() - '1 s'::interval WHERE id = '${node}'`);

async function claimed(node: string): Promise<Claim> {
  const result = await claim(postgres, KEY, node);
  if ("owner" in result) throw new Error(`${result.owner.name} has it`);
  return result.claim;
}

/** What a node would write: the conversation, with the node's name as its workspace, and a piece of its transcript. */
function write(by: Claim): Promise<boolean> {
  const store = openMemoryStore();
  const changes = trackChanges(store);
  createSessionStore(store).save({
    key: KEY,
    source: "user",
    agent: null,
    chat: null,
    claudeSession: "claude",
    workspace: by.node,
    launchHash: "",
    model: null,
    effort: null,
    systemPrompt: null,
    claudeTools: null,
    affinity: null,
    generation: null,
    createdAt: 1,
    lastActiveAt: 1,
    branchOf: null,
  });
  const piece = { claudeSession: "claude", path: "transcript/x", seq: 0, bytes: Buffer.from(by.node) };
  return commit(postgres, by, changes.of([KEY]), { pieces: [piece], rewritten: [] }, []);
}

const written = async () => {
  const [workspace, bytes] = (await server.query("SELECT workspace, convert_from(bytes, 'UTF8') FROM sessions, files"))
    .trim()
    .split("|");
  return [workspace, bytes];
};

test("a node that lost its lease writes nothing more", async () => {
  const first = await claimed(A);
  expect(await write(first)).toBe(true);
  expect(await claim(postgres, KEY, B)).toMatchObject({ owner: { name: A } });
  await endLease(A);
  const second = await claimed(B);
  expect(second.epoch).toBe(first.epoch + 1);
  expect(await write(first)).toBe(false);
  expect(await written()).toEqual([A, A]);
  expect(await write(second)).toBe(true);
  expect(await write(first)).toBe(false);
  expect(await written()).toEqual([B, B]);
});

test("neither does one that gave the conversation back, also when it has it again", async () => {
  const first = await claimed(A);
  await release(postgres, first);
  expect(await findOwner(postgres, KEY)).toBeNull();
  expect(await write(first)).toBe(false);
  const again = await claimed(A);
  expect(await write(first)).toBe(false);
  expect(await write(again)).toBe(true);
  // A release that arrives late takes nothing from the new claim.
  await release(postgres, first);
  expect(await findOwner(postgres, KEY)).toMatchObject({ id: A });
});

test("of many nodes that want a conversation at the same time, one gets it", async () => {
  await endLease(A);
  await claim(postgres, KEY, A);
  const nodes = Array.from({ length: 8 }, () => crypto.randomUUID());
  for (const node of nodes) await startNode(node);
  const results = await Promise.all(nodes.map((node) => claim(postgres, KEY, node)));
  const claims = results.flatMap((result) => ("claim" in result ? result.claim : []));
  expect(claims).toHaveLength(1);
  const owners = results.flatMap((result) => ("owner" in result ? result.owner.id : []));
  expect(new Set(owners)).toEqual(new Set([claims[0]?.node ?? ""]));
});
