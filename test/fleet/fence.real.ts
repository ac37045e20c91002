/** What an earlier owner of a conversation still writes changes nothing, whatever it believes. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { trackChanges } from "../../src/fleet/changes.ts";
import { type Claim, claim, findOwner, release } from "../../src/fleet/claims.ts";
import { commit } from "../../src/fleet/ledger.ts";
import { openMemoryStore } from "../../src/store/database.ts";
import { createSessionStore } from "../../src/store/sessions.ts";
import { session } from "../store/rows.ts";
import { createDatabase, type FleetDatabase } from "./database.ts";

const KEY = "user:ann";
const [A, B] = [crypto.randomUUID(), crypto.randomUUID()];

let database: FleetDatabase;

beforeAll(async () => {
  database = await createDatabase();
}, 60_000);

afterAll(() => database?.[Symbol.asyncDispose]());

beforeEach(async () => {
  await database.rows("TRUNCATE nodes, claims, sessions, files CASCADE");
  for (const node of [A, B]) await startNode(node);
});

const startNode = (node: string) =>
  database.rows(
    `INSERT INTO nodes VALUES ('${node}', '${node}', 'https://x', now() + '1 minute', false, 1, 0, 0, 0, '1')`,
  );
const endLease = (node: string) =>
  database.rows(`UPDATE nodes SET lease_until = now() - '1 s'::interval WHERE id = '${node}'`);

async function claimed(node: string): Promise<Claim> {
  const result = await claim(database.postgres, KEY, node);
  if ("owner" in result) throw new Error(`${result.owner.name} has it`);
  return result.claim;
}

/**
 * What a node would write: the conversation, with a workspace, and a piece of its transcript.
 * @returns the claim after it; null if it is refused
 */
function write(by: Claim, workspace = by.node): Promise<Claim | null> {
  const store = openMemoryStore();
  const changes = trackChanges(store);
  createSessionStore(store).save(session(KEY, { claudeSession: "claude", workspace }));
  const piece = { claudeSession: "claude", path: "transcript/x", seq: 0, bytes: Buffer.from(workspace) };
  return commit(database.postgres, by, changes.of([KEY]), { pieces: [piece], rewritten: [] }, []);
}

const written = async () => {
  const [row] = await database.rows("SELECT workspace, convert_from(bytes, 'UTF8') FROM sessions, files");
  return row?.split("|");
};

test("a node that lost its lease writes nothing more", async () => {
  const claimedFirst = await claimed(A);
  const first = (await write(claimedFirst)) as Claim;
  expect(first).toEqual({ ...claimedFirst, seq: 1 });
  expect(await claim(database.postgres, KEY, B)).toMatchObject({ owner: { name: A } });
  await endLease(A);
  const second = await claimed(B);
  expect(second.epoch).toBe(first.epoch + 1);
  expect(await write(first)).toBeNull();
  expect(await written()).toEqual([A, A]);
  expect(await write(second)).not.toBeNull();
  expect(await write(first)).toBeNull();
  expect(await written()).toEqual([B, B]);
});

test("neither does one that gave the conversation back, also when it has it again", async () => {
  const first = await claimed(A);
  await release(database.postgres, first);
  expect(await findOwner(database.postgres, KEY)).toBeNull();
  expect(await write(first)).toBeNull();
  const again = await claimed(A);
  expect(await write(first)).toBeNull();
  expect(await write(again)).not.toBeNull();
  // A release that arrives late takes nothing from the new claim.
  await release(database.postgres, first);
  expect(await findOwner(database.postgres, KEY)).toMatchObject({ id: A });
});

test("a commit that arrives after a later one of the same claim changes nothing", async () => {
  const first = await claimed(A);
  expect(await write(first, "new")).not.toBeNull();
  expect(await write(first, "old")).toBeNull();
  expect(await written()).toEqual(["new", "new"]);
});

test("a commit of nothing shows whether the claim holds", async () => {
  const nothing = trackChanges(openMemoryStore()).of([KEY]);
  const prove = (by: Claim) => commit(database.postgres, by, nothing, { pieces: [], rewritten: [] }, []);
  const first = (await prove(await claimed(A))) as Claim;
  expect(first).not.toBeNull();
  await endLease(A);
  await claimed(B);
  expect(await prove(first)).toBeNull();
});

test("a commit of much has more time than one of little", async () => {
  const first = await claimed(A);
  const slow = "BEGIN PERFORM pg_sleep(1.2); RETURN NULL; END";
  await database.rows(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS '${slow}';
    CREATE TRIGGER slow AFTER INSERT ON files FOR EACH STATEMENT EXECUTE FUNCTION wait()`);
  const pieces = Array.from({ length: 5 }, (_, seq) => ({
    ...{ claudeSession: "claude", path: "transcript/x", seq },
    bytes: Buffer.alloc(3 * 1024 * 1024),
  }));
  const nothing = trackChanges(openMemoryStore()).of([KEY]);
  expect(await commit(database.postgres, first, nothing, { pieces, rewritten: [] }, [])).not.toBeNull();
  await database.rows("DROP TRIGGER slow ON files");
  expect(await database.rows("SELECT seq FROM files ORDER BY seq")).toEqual(["0", "1", "2", "3", "4"]);
});

test("of many nodes that want a conversation at the same time, one gets it", async () => {
  await endLease(A);
  await claim(database.postgres, KEY, A);
  const nodes = Array.from({ length: 8 }, () => crypto.randomUUID());
  for (const node of nodes) await startNode(node);
  const results = await Promise.all(nodes.map((node) => claim(database.postgres, KEY, node)));
  const claims = results.flatMap((result) => ("claim" in result ? result.claim : []));
  expect(claims).toHaveLength(1);
  const owners = results.flatMap((result) => ("owner" in result ? result.owner.id : []));
  expect(new Set(owners)).toEqual(new Set([claims[0]?.node ?? ""]));
});
