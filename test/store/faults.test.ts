/** What becomes of conversations when the database is damaged, newer, locked, or cannot be written to. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { storeFault } from "../../src/store/faults.ts";
import { PROGRAM, startServer, type TestServer } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const stateOf = ({ claude }: World) => join(claude.base, "state");
const databaseOf = (world: World) => join(stateOf(world), "synthesis.db");
const setAsideIn = (world: World) =>
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

describe("what an error of the database's means", () => {
  const cases: [code: string, is: string | undefined][] = [
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
  test.each(cases)("%s: %p", (code, is) => {
    const error = Object.assign(new Error("what it says"), { code });
    expect(storeFault(error)?.is).toBe(is as "full");
  });
});

describe("a damaged database is set aside, and the server starts with a fresh one", () => {
  const damages: Record<string, (file: string) => void> = {
    "no database at all": (file) => writeFileSync(file, "this is no database "),
    garbled: (file) => garble(file),
    "garbled behind its head": (file) => garble(file, 4096),
    "cut in half": (file) => truncateSync(file, statSync(file).size / 2),
  };
  test.each(Object.entries(damages))("%s", async (_what, damage) => {
    await using world = await createWorld({ standIn: true });
    await say(world.server, "one");
    await world.server.stop();
    damage(databaseOf(world));
    const damaged = readFileSync(databaseOf(world));

    await using server = await restarted(world);
    const [aside = ""] = setAsideIn(world);
    expect(aside).toMatch(/^synthesis\.db\.damaged-\d{4}-\d\d-\d\dT[\d-]+Z$/);
    expect(await server.printed(/^Database: damaged/)).toContain(aside);
    expect(await server.logged(/the database was damaged/)).toContain(aside);
    expect(readFileSync(join(stateOf(world), aside)).equals(damaged)).toBe(true);
    expect(statSync(join(stateOf(world), aside)).mode & 0o777).toBe(0o600);
    // What the client remembers is told to the new claude.
    const history = [
      { role: "user", content: "one" },
      { role: "assistant", content: "You said: one" },
    ];
    const { text } = await say(server, "", { messages: [...history, { role: "user", content: "two" }] });
    expect(text).toMatch(/What was said in this chat before you came:\n\nUser: one\n\n.*two$/s);
  });

  test("with the files that belong to it", async () => {
    await using world = await createWorld({ standIn: true });
    await say(world.server, "one");
    await world.server.stop("SIGKILL");
    for (const suffix of ["", "-wal"]) garble(databaseOf(world) + suffix);
    await using server = await restarted(world);
    expect((await say(server, "two")).text).toBe("You said: two");
    const [aside = "", ...others] = setAsideIn(world);
    expect(others).toEqual([`${aside}-shm`, `${aside}-wal`]);
    for (const name of [aside, ...others]) expect(statSync(join(stateOf(world), name)).mode & 0o777).toBe(0o600);
  });

  test("when it shows while the server runs, that says to restart it", async () => {
    await using world = await createWorld({ standIn: true });
    await say(world.server, "one");
    using other = new Database(databaseOf(world));
    // Everything is in the one file now, and has to be read from there.
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

test("a lock file with something in it does not lock anybody out", async () => {
  await using world = await createWorld({ standIn: true });
  await world.server.stop();
  writeFileSync(join(stateOf(world), "server.lock"), "this is no database ".repeat(99));
  await using server = await restarted(world);
  expect((await say(server, "one")).text).toBe("You said: one");
  expect((await refused(world)).said).toContain("Another synthesis");
});

test("a file where a folder should be is named, and when it is gone all works", async () => {
  await using world = await createWorld({ standIn: true });
  const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } };
  const content = [{ type: "text", text: "look" }, image];
  const look = () => say(world.server, "", { messages: [{ role: "user", content }] });
  await look();
  const images = join(stateOf(world), "images");
  const [session = ""] = readdirSync(images);
  for (const inTheWay of [join(images, session), images]) {
    await Bun.$`rm -r ${inTheWay}`;
    writeFileSync(inTheWay, "");
    const { status, error } = await look();
    expect([status, error?.code]).toEqual([503, "database_unavailable"]);
    expect(error?.message).toBe(`${inTheWay} is no folder, where synthesis needs one. Move it away, and try again.`);
  }
  await Bun.$`rm ${images}`;
  expect((await look()).status).toBe(200);
});

/** Starts a server that does not come up. */
async function refused(world: World): Promise<{ code: number; said: string }> {
  const server = Bun.spawn([...PROGRAM], { env: { ...world.serverEnv, SYNTHESIS_BRIDGE_PORT: "0" }, stderr: "pipe" });
  return { code: await server.exited, said: await server.stderr.text() };
}

describe("a database that cannot be used, and is not damaged, is left as it is", () => {
  test("a newer version's", async () => {
    await using world = await createWorld({ standIn: true });
    await say(world.server, "one");
    await world.server.stop();
    using database = new Database(databaseOf(world));
    database.run("insert into __drizzle_migrations (hash, created_at) values ('of tomorrow', 99999999999999)");
    database.close();
    const before = readFileSync(databaseOf(world));
    const { code, said } = await refused(world);
    expect([code, said]).toEqual([2, expect.stringMatching(/^A newer version of synthesis .* --home .*\n$/)]);
    expect(readFileSync(databaseOf(world)).equals(before)).toBe(true);
    expect(setAsideIn(world)).toEqual([]);
  });

  test("one that is locked", async () => {
    await using world = await createWorld({ standIn: true });
    await world.server.stop();
    using other = new Database(databaseOf(world));
    other.run("PRAGMA locking_mode = EXCLUSIVE");
    other.run("BEGIN EXCLUSIVE");
    expect(await refused(world)).toEqual({ code: 2, said: expect.stringContaining("keeps the database locked") });
    expect(setAsideIn(world)).toEqual([]);
  });

  test("one that is none, but a folder", async () => {
    await using world = await createWorld({ standIn: true });
    await world.server.stop();
    await Bun.$`rm ${databaseOf(world)}`;
    mkdirSync(databaseOf(world));
    expect(await refused(world)).toEqual({ code: 2, said: expect.stringContaining("synthesis.db is a folder") });
    expect(setAsideIn(world)).toEqual([]);
  });
});

test("a full disk: nothing is done that cannot be written down, and all works when there is room", async () => {
  const root = join(import.meta.dir, "../..");
  await using world = await createWorld({
    standIn: true,
    program: [process.execPath, "--preload", join(root, "test/support/full-disk.ts"), join(root, "src/main.ts")],
  });
  const { server } = world;
  let answered = 1;
  await say(server, "one");
  process.kill(server.pid, "SIGUSR2");
  await server.logged(/the disk is full now/);
  let answer = await say(server, "more");
  // There is room in what the file has already.
  for (; answer.status === 200 && answered < 200; answered += 1) answer = await say(server, "more");
  expect([answer.status, answer.error?.code, answer.retryAfter]).toEqual([503, "database_unavailable", "30"]);
  expect(answer.error?.message).toMatch(/disk is full.* Make room/);
  process.kill(server.pid, "SIGUSR2");
  await server.logged(/the disk is free now/);
  expect((await say(server, "two")).text).toBe("You said: two");
  await server.stop();
  expect(statesIn(databaseOf(world))).toEqual(Array.from({ length: answered + 1 }, () => "done"));
});

test("a locked database: the turn that runs ends well, another is refused, and all is written down later", async () => {
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
