/** `synthesis nodes` on a real Postgres: joining, listing, draining, evicting, and a new certificate while nodes run. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eq, sql } from "drizzle-orm";
import { type Member, readMembers } from "../../src/fleet/members.ts";
import { connect, type Postgres } from "../../src/store/postgres/connect.ts";
import { migrateFleet } from "../../src/store/postgres/migrate.ts";
import { claims, members, nodes } from "../../src/store/postgres/tables.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { PROGRAM } from "../support/server.ts";

const LEASE_MS = 2_000;

let server: TestPostgres;
let base: string;
let url: string;
let postgres: Postgres;
let count = 0;

beforeAll(async () => {
  server = await startPostgres();
  base = mkdtempSync(join(tmpdir(), "nodes-"));
});
afterAll(async () => {
  await postgres?.close();
  await server[Symbol.asyncDispose]();
  rmSync(base, { recursive: true, force: true });
});
beforeEach(async () => {
  await postgres?.close();
  count += 1;
  url = await server.createDatabase(`fleet_${count}`);
  postgres = connect(url);
  await migrateFleet(postgres);
});

/** The state folder of a machine. */
const home = (machine: string) => join(base, `${count}-${machine}`);

interface Result {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `synthesis nodes` on a machine, without a terminal. */
async function run(machine: string, words: string, env: Record<string, string | undefined> = {}): Promise<Result> {
  const child = Bun.spawn([...PROGRAM, "nodes", ...words.split(" ")], {
    env: {
      HOME: base,
      PATH: process.env.PATH,
      SYNTHESIS_HOME: home(machine),
      SYNTHESIS_DATABASE: url,
      SYNTHESIS_NODE_NAME: machine,
      SYNTHESIS_NODE_LISTEN: "127.0.0.1:7443",
      SYNTHESIS_LEASE_MS: `${LEASE_MS}`,
      ...env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [exitCode, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { exitCode, stdout, stderr };
}

async function succeed(machine: string, words: string, env: Record<string, string> = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await run(machine, words, env);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return stdout;
}

const member = async (name: string) => (await readMembers(postgres)).find((one) => one.name === name) as Member;
const certificate = (machine: string) => readFileSync(join(home(machine), "node.crt"), "utf8");

/** Joins a machine that has the keys of another one. */
async function joinWithKeysOf(other: string, machine: string): Promise<void> {
  mkdirSync(home(machine), { mode: 0o700 });
  for (const key of ["chat.key", "control.key"]) cpSync(join(home(other), key), join(home(machine), key));
  await succeed(machine, "join");
}

/** Adds the row of a server that runs. */
async function addNode(
  name: string,
  more: Partial<typeof nodes.$inferInsert> = {},
  leaseSeconds = 60,
): Promise<string> {
  const id = crypto.randomUUID();
  const load = { places: 8, used: 3, waiting: 1, typicalTurnMs: 1000, version: "1.2.3" };
  const leaseUntil = sql`now() + make_interval(secs => ${leaseSeconds})`;
  const row = { id, name, url: "https://127.0.0.1:7443", ...load, leaseUntil, ...more };
  await postgres.run((database) => database.insert(nodes).values(row as typeof nodes.$inferInsert));
  return id;
}

/** A server that renews its lease, and says before each renewal what it finds. */
async function renewing(name: string, onRenewal: () => unknown = () => {}) {
  const id = await addNode(name);
  let isRunning = true;
  const ended = (async () => {
    while (isRunning) {
      await Bun.sleep(LEASE_MS / 12);
      await onRenewal();
      const leaseUntil = sql`now() + make_interval(secs => 60)`;
      await postgres.run((database) => database.update(nodes).set({ leaseUntil }).where(eq(nodes.id, id)));
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      isRunning = false;
      await ended;
    },
  };
}

const addClaim = (key: string, node: string) =>
  postgres.run((database) => database.insert(claims).values({ key, node, epoch: 1, seq: 0 }));

describe("join", () => {
  test("makes a certificate for the machine's address and publishes it, once", async () => {
    expect(await succeed("a", "join")).toContain("a is a member of the fleet, at https://127.0.0.1:7443.");
    const first = await member("a");
    expect(first).toMatchObject({
      url: "https://127.0.0.1:7443",
      certificate: certificate("a"),
      nextCertificate: null,
    });
    expect(new X509Certificate(certificate("a")).checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(statSync(join(home("a"), "node.key")).mode & 0o777).toBe(0o600);
    await succeed("a", "join");
    expect(await member("a")).toEqual(first);
  });

  test("takes another address, and refuses one that no other node can reach", async () => {
    const anyAddress = { SYNTHESIS_NODE_LISTEN: "0.0.0.0:7443" };
    expect((await run("a", "join", anyAddress)).stderr).toContain("--url");
    expect(existsSync(join(home("a"), "node.key"))).toBe(false);
    const said = await succeed("a", "join --url https://node-a.example.com:7443", anyAddress);
    expect(said).toContain("SYNTHESIS_NODE_URL=https://node-a.example.com:7443");
    expect((await member("a")).url).toBe("https://node-a.example.com:7443");
    expect(new X509Certificate(certificate("a")).checkHost("node-a.example.com")).toBe("node-a.example.com");
    expect((await run("a", "join", anyAddress)).exitCode).not.toBe(0);
  });

  test("refuses a machine without the fleet's keys, or with other ones, and takes one with them", async () => {
    await succeed("a", "join");
    const without = await run("b", "join");
    expect(without.stderr).toMatch(/Copy chat\.key and control\.key.* from the state folder of a to /);
    expect(existsSync(home("b"))).toBe(false);
    await postgres.run((database) => database.delete(members));
    await succeed("c", "join");
    mkdirSync(home("b"), { mode: 0o700 });
    for (const key of ["chat.key", "control.key"]) cpSync(join(home("a"), key), join(home("b"), key));
    expect((await run("b", "join")).stderr).toContain("other keys than the fleet");
    await joinWithKeysOf("c", "d");
    expect((await readMembers(postgres)).map(({ name }) => name)).toEqual(["c", "d"]);
  });

  test("takes other keys of a member only when no other node runs with the old ones", async () => {
    await succeed("a", "join");
    await joinWithKeysOf("a", "b");
    const before = (await member("a")).keys;
    writeFileSync(join(home("a"), "chat.key"), "sk-synthesis-another-key\n", { mode: 0o600 });
    await addNode("b");
    expect((await run("a", "join")).stderr).toContain("other keys than the fleet");
    expect((await member("a")).keys).toBe(before);
    await postgres.run((database) => database.delete(nodes));
    await succeed("a", "join");
    expect((await member("a")).keys).not.toBe(before);
  });

  test("does not let a machine take the name of another one", async () => {
    await succeed("a", "join");
    await joinWithKeysOf("a", "b");
    const published = await member("a");
    for (const words of ["join", "join --rotate"]) {
      const { exitCode, stderr } = await run("b", words, { SYNTHESIS_NODE_NAME: "a" });
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining("synthesis nodes evict a --forget")]);
    }
    expect(await member("a")).toEqual(published);
  });

  test("needs the database", async () => {
    const { exitCode, stderr } = await run("a", "join", {
      SYNTHESIS_DATABASE: undefined,
      SYNTHESIS_NODE_LISTEN: undefined,
    });
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("SYNTHESIS_DATABASE is not set")]);
    const away = await run("a", "list", { SYNTHESIS_DATABASE: "postgres://postgres@127.0.0.1:1/none" });
    expect([away.exitCode, away.stderr]).toEqual([
      1,
      expect.stringContaining("The database of the fleet cannot be used"),
    ]);
    expect(away.stderr).not.toContain("    at ");
  });
});

describe("a new certificate", () => {
  const next = async () => {
    const { certificate, nextCertificate } = await member("a");
    return { certificate, nextCertificate };
  };

  test("is trusted by all before it is used, and the old one until it is not used any more", async () => {
    await succeed("a", "join");
    const old = certificate("a");
    const found: { readonly used: string; readonly trusted: readonly (string | null)[] }[] = [];
    const look = async () => {
      const { certificate: published, nextCertificate } = await member("a");
      found.push({ used: certificate("a"), trusted: [published, nextCertificate] });
    };
    await using _other = await renewing("b");
    await using _own = await renewing("a", look);
    await succeed("a", "join --rotate");
    expect(certificate("a")).not.toBe(old);
    expect(await next()).toEqual({ certificate: certificate("a"), nextCertificate: null });
    // At each renewal both were trusted, or the one that was used.
    for (const { used, trusted } of found) expect(trusted).toContain(used);
    const both = found.filter(({ trusted }) => !trusted.includes(null));
    expect([...new Set(both.map(({ used }) => (used === old ? "old" : "new")))]).toEqual(["old", "new"]);
  });

  test("is not used when a node may not know it", async () => {
    await succeed("a", "join");
    const old = certificate("a");
    await addNode("b");
    const { exitCode, stderr } = await run("a", "join --rotate");
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining("does not renew its lease")]);
    expect(certificate("a")).toBe(old);
    await succeed("a", "join");
    expect(await next()).toEqual({ certificate: old, nextCertificate: null });
  });

  test("is completed by another join when the rotation was broken off", async () => {
    await succeed("a", "join");
    const own = certificate("a");
    await postgres.run((database) => database.update(members).set({ certificate: "old", nextCertificate: own }));
    await using _own = await renewing("a");
    await succeed("a", "join");
    expect(await next()).toEqual({ certificate: own, nextCertificate: null });
  });
});

describe("list", () => {
  test("shows each node's state, lease, load and conversations", async () => {
    await succeed("a", "join");
    expect(await succeed("a", "list")).toMatch(/\na +down +– +– +0 +0 +– +https:\/\/127\.0\.0\.1:7443/);
    const id = await addNode("a");
    await addClaim("user:1", id);
    await addClaim("user:2", id);
    await addNode("b", { draining: true });
    await addNode("c", {}, -5);
    const lines = (await succeed("a", "list")).split("\n").map((line) => line.split(/ {2,}/));
    expect(lines.slice(0, 4)).toEqual([
      ["NODE", "STATE", "LEASE LEFT", "PROCESSES", "WAITING", "CONVERSATIONS", "VERSION", "URL"],
      ["a", "live", expect.stringMatching(/^(?:60|5\d) s$/), "3 of 8", "1", "2", "1.2.3", "https://127.0.0.1:7443"],
      ["b", "draining, no member", expect.any(String), "3 of 8", "1", "0", "1.2.3", "https://127.0.0.1:7443"],
      ["c", "expired, no member", "0 s", "3 of 8", "1", "0", "1.2.3", "https://127.0.0.1:7443"],
    ]);
    const listed = JSON.parse(await succeed("a", "list --json"));
    expect(listed[0]).toMatchObject({ name: "a", state: "live", claims: 2, isMember: true, places: 8 });
  });

  test("says what to do in an empty fleet", async () => {
    expect(await succeed("a", "list")).toContain("synthesis nodes join");
  });
});

describe("drain", () => {
  const isDraining = async () => (await postgres.run((database) => database.select().from(nodes)))[0]?.draining;

  test("and its undo reach the node", async () => {
    await addNode("node-a");
    expect(await succeed("x", "drain node-a")).toContain("node-a: takes no more conversations");
    expect(await isDraining()).toBe(true);
    await succeed("x", "drain node-a --undo");
    expect(await isDraining()).toBe(false);
  });

  test("names the nearest node for an unknown one, and refuses one that does not run", async () => {
    await succeed("node-a", "join");
    expect((await run("x", "drain node-b")).stderr).toContain("Did you mean node-a?");
    expect((await run("x", "drain other")).stderr).toContain("`synthesis nodes list`");
    expect((await run("x", "drain node-a")).stderr).toContain("does not run");
  });
});

describe("evict", () => {
  test("frees the node's conversations, and asks before", async () => {
    await succeed("a", "join");
    await addClaim("user:1", await addNode("a"));
    expect((await run("a", "evict a")).stderr).toContain("--yes");
    const owner = async () => (await postgres.run((database) => database.select().from(claims)))[0]?.node;
    expect(await owner()).not.toBeNull();
    await succeed("a", "evict a --yes");
    expect(await owner()).toBeNull();
    expect(await member("a")).toBeDefined();
    expect((await run("a", "evict a --yes")).stderr).toContain("--forget");
  });

  test("--forget ends the trust in a member, whether it runs or not", async () => {
    await succeed("a", "join");
    await addNode("a");
    await succeed("x", "evict a --forget --yes");
    expect(await readMembers(postgres)).toEqual([]);
    expect((await run("x", "evict a --forget --yes")).stderr).toContain("There is no node a.");
    await succeed("a", "join");
    await succeed("x", "evict a --forget -y");
    expect(await readMembers(postgres)).toEqual([]);
  });
});

test("a database that is silent does not hang a command", async () => {
  server.freeze();
  try {
    const { exitCode, stderr } = await run("a", "list");
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("The database of the fleet cannot be used")]);
  } finally {
    server.thaw();
  }
}, 90_000);
