/** Conversations go on when the database is damaged, newer, locked or full, as far as they can. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { storeFault } from "../../src/store/faults.ts";
import { PROGRAM, preloaded, startServer, type TestServer } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const stateOf = ({ claude }: World) => join(claude.base, "state");
const databaseOf = (world: World) => join(stateOf(world), "synthesis.db");
const quarantinedIn = (world: World) =>
  readdirSync(stateOf(world))
    .filter((name) => name.includes(".damaged-"))
    .sort();
const restarted = async (world: World): Promise<TestServer & AsyncDisposable> => {
  const server = await startServer(world.serverEnv);
  return { ...server, [Symbol.asyncDispose]: async () => void (await server.stop()) };
};

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly text: string | undefined;
  readonly error: { code: string; message: string } | undefined;
}
async function say(server: TestServer, content: string, more: object = {}): Promise<Answer> {
  const response = await server.post(ask(content, { stream: false, ...more }));
  const body = (await response.json()) as {
    choices?: [{ message: { content: string } }];
    error?: { code: string; message: string };
  };
  return {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    text: body.choices?.[0].message.content,
    error: body.error,
  };
}
const statesIn = (file: string): string[] => {
  using database = new Database(file, { readonly: true });
  return (database.query("select state from turns order by rowid").all() as { state: string }[]).map(
    ({ state }) => state,
  );
};

const garble = (file: string, from = 0) => writeFileSync(file, readFileSync(file).fill("garbage ", from));

describe("an error of SQLite or of the file system is the fault", () => {
  const cases: [code: string, kind: string | undefined][] = [
    ["SQLITE_CORRUPT", "damaged"],
    ["SQLITE_CORRUPT_INDEX", "damaged"],
    ["SQLITE_NOTADB", "damaged"],
    ["SQLITE_FULL", "full"],
    ["ENOSPC", "full"],
    ["SQLITE_BUSY_SNAPSHOT", "locked"],
    ["SQLITE_READONLY_DBMOVED", "unusable"],
    ["SQLITE_IOERR_READ", "unusable"],
    ["EACCES", "unusable"],
    ["ENOTDIR", "unusable"],
    ["EISDIR", "unusable"],
    ["EMFILE", "unusable"],
    ["ENAMETOOLONG", "unusable"],
    ["SQLITE_CONSTRAINT_UNIQUE", undefined],
    ["SQLITE_ERROR", undefined],
    ["ENOENT", undefined],
  ];
  test.each(cases)("%s: %p", (code, kind) => {
    const error = Object.assign(new Error("a message"), { code });
    expect(storeFault(error)?.kind).toBe(kind as "full");
  });
});

describe("the server moves a damaged database away and starts with a new one", () => {
  const damages: Record<string, (file: string) => void> = {
    "when the file is not a database": (file) => writeFileSync(file, "this is not a database "),
    "when the whole file is overwritten": (file) => garble(file),
    "when all but the first page is overwritten": (file) => garble(file, 4096),
    "when half of the file is missing": (file) => truncateSync(file, statSync(file).size / 2),
  };
  test.each(Object.entries(damages))("%s", async (_what, damage) => {
    await using world = await createWorld({ standIn: true });
    await say(world.server, "one");
    await world.server.stop();
    damage(databaseOf(world));
    const damaged = readFileSync(databaseOf(world));

    await using server = await restarted(world);
    const [quarantined = ""] = quarantinedIn(world);
    expect(quarantined).toMatch(/^synthesis\.db\.damaged-\d{4}-\d\d-\d\dT[\d-]+Z$/);
    expect(await server.printed(/^Database: damaged/)).toContain(quarantined);
    expect(await server.logged(/the database was damaged/)).toContain(quarantined);
    expect(readFileSync(join(stateOf(world), quarantined)).equals(damaged)).toBe(true);
    expect(statSync(join(stateOf(world), quarantined)).mode & 0o777).toBe(0o600);
    // Claude gets the history that the client sends, in a new Claude session.
    const history = [
      { role: "user", content: "one" },
      { role: "assistant", content: "You said: one" },
    ];
    const { text } = await say(server, "", { messages: [...history, { role: "user", content: "two" }] });
    expect(text).toMatch(/What was said in this chat before you came:\n\nUser: one\n\n.*two$/s);
  });

  test("together with its side files", async () => {
    await using world = await createWorld({ standIn: true });
    await say(world.server, "one");
    await world.server.stop("SIGKILL");
    for (const suffix of ["", "-wal"]) garble(databaseOf(world) + suffix);
    await using server = await restarted(world);
    expect((await say(server, "two")).text).toBe("You said: two");
    const [quarantined = "", ...others] = quarantinedIn(world);
    expect(others).toEqual([`${quarantined}-shm`, `${quarantined}-wal`]);
    for (const name of [quarantined, ...others]) expect(statSync(join(stateOf(world), name)).mode & 0o777).toBe(0o600);
  });

  test("at the next start, when the damage appears while the server runs", async () => {
    await using world = await createWorld({ standIn: true });
    await say(world.server, "one");
    using other = new Database(databaseOf(world));
    // The turn is recorded after its answer has ended.
    while (!other.query("SELECT 1 FROM turns WHERE state = 'done'").get()) await Bun.sleep(10);
    // All rows are in the main file now, so the server has to read the overwritten pages.
    other.query("PRAGMA wal_checkpoint(TRUNCATE)").get();
    garble(databaseOf(world));
    const { status, error } = await say(world.server, "two", { user: "other" });
    expect([status, error?.code]).toEqual([503, "database_unavailable"]);
    expect(error?.message).toMatch(/damaged\. Restart synthesis/);
    other.close();
    await world.server.stop();
    await using server = await restarted(world);
    expect((await say(server, "two", { user: "other" })).text).toBe("You said: two");
  });
});

test("a lock file that is not empty can be locked all the same", async () => {
  await using world = await createWorld({ standIn: true });
  await world.server.stop();
  writeFileSync(join(stateOf(world), "server.lock"), "this is not a database ".repeat(99));
  await using server = await restarted(world);
  expect((await say(server, "one")).text).toBe("You said: one");
  expect((await startRejected(world)).stderr).toContain("Another synthesis");
});

test("a file in place of a folder is named in the error, and requests work after it is removed", async () => {
  await using world = await createWorld({ standIn: true });
  const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } };
  const content = [{ type: "text", text: "look" }, image];
  const look = () => say(world.server, "", { messages: [{ role: "user", content }] });
  await look();
  const images = join(stateOf(world), "images");
  const [session = ""] = readdirSync(images);
  for (const path of [join(images, session), images]) {
    await Bun.$`rm -r ${path}`;
    writeFileSync(path, "");
    const { status, error } = await look();
    expect([status, error?.code]).toEqual([503, "database_unavailable"]);
    expect(error?.message).toStartWith(`${path} is not a folder`);
  }
  await Bun.$`rm ${images}`;
  expect((await look()).status).toBe(200);
});

/** Starts a server that is expected to exit during its start. */
async function startRejected(world: World): Promise<{ code: number; stderr: string }> {
  const server = Bun.spawn([...PROGRAM], { env: { ...world.serverEnv, SYNTHESIS_BRIDGE_PORT: "0" }, stderr: "pipe" });
  return { code: await server.exited, stderr: await server.stderr.text() };
}

describe("the server leaves the database as it is and does not start", () => {
  test("when a newer version has migrated the database", async () => {
    await using world = await createWorld({ standIn: true });
    await say(world.server, "one");
    await world.server.stop();
    using database = new Database(databaseOf(world));
    database.run("insert into __drizzle_migrations (hash, created_at) values ('of tomorrow', 99999999999999)");
    database.close();
    const before = readFileSync(databaseOf(world));
    const { code, stderr } = await startRejected(world);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^A newer version of synthesis .* --home .*\n$/)]);
    expect(readFileSync(databaseOf(world)).equals(before)).toBe(true);
    expect(quarantinedIn(world)).toEqual([]);
  });

  test("when another program has locked the database", async () => {
    await using world = await createWorld({ standIn: true });
    await world.server.stop();
    using other = new Database(databaseOf(world));
    other.run("PRAGMA locking_mode = EXCLUSIVE");
    other.run("BEGIN EXCLUSIVE");
    expect(await startRejected(world)).toEqual({ code: 2, stderr: expect.stringContaining("has locked the database") });
    expect(quarantinedIn(world)).toEqual([]);
  });

  test("when the database is a folder", async () => {
    await using world = await createWorld({ standIn: true });
    await world.server.stop();
    await Bun.$`rm ${databaseOf(world)}`;
    mkdirSync(databaseOf(world));
    expect(await startRejected(world)).toEqual({
      code: 2,
      stderr: expect.stringContaining("synthesis.db is a folder"),
    });
    expect(quarantinedIn(world)).toEqual([]);
  });
});

test("on a full disk requests get a 503, and they work again when there is room", async () => {
  await using world = await createWorld({
    standIn: true,
    program: preloaded("full-disk.ts"),
  });
  const { server } = world;
  let turns = 1;
  await say(server, "one");
  process.kill(server.pid, "SIGUSR2");
  await server.logged(/the disk is full now/);
  let answer = await say(server, "more");
  // Some rows still fit into the pages that the file already has.
  for (; answer.status === 200 && turns < 200; turns += 1) answer = await say(server, "more");
  expect([answer.status, answer.error?.code, answer.retryAfter]).toEqual([503, "database_unavailable", "30"]);
  expect(answer.error?.message).toMatch(/disk is full.* Make room/);
  process.kill(server.pid, "SIGUSR2");
  await server.logged(/the disk is free now/);
  expect((await say(server, "two")).text).toBe("You said: two");
  await server.stop();
  expect(statesIn(databaseOf(world))).toEqual(Array.from({ length: turns + 1 }, () => "done"));
});

test("while the database is locked a running turn ends, a new one gets a 503, and both are recorded later", async () => {
  await using world = await createWorld({ standIn: true });
  const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }];
  const first = [{ role: "user", content: "call 1" }];
  const response = await world.server.post(ask("", { tools, stream: false, messages: first }));
  const { message } = ((await response.json()) as { choices: [{ message: { tool_calls: [{ id: string }] } }] })
    .choices[0];
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "seen" };

  using other = new Database(databaseOf(world));
  other.run("BEGIN IMMEDIATE");
  const ended = await say(world.server, "", { tools, messages: [...first, message, result] });
  expect(ended.text).toBe("You said: seen");
  const { status, error, retryAfter } = await say(world.server, "two", { user: "other" });
  expect([status, error?.code, retryAfter]).toEqual([503, "database_unavailable", "1"]);
  other.run("ROLLBACK");
  expect((await say(world.server, "two", { user: "other" })).text).toBe("You said: two");
  await world.server.stop();
  expect(statesIn(databaseOf(world))).toEqual(["done", "done"]);
});
