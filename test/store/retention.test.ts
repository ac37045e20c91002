/** Each start deletes what was not used for a long time. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeMarkedFolder } from "../../src/claude/marked-folder.ts";
import { startServer } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

const DAY_MS = 86_400_000;

test("a start deletes conversations, turns, past sessions, permission prompts and images older than SYNTHESIS_KEEP_DAYS", async () => {
  await using world = await createWorld({ standIn: true });
  const say = async (content: string, user: string, server = world.server) =>
    (await server.post(ask(content, { user, stream: false }))).text();
  // More turns than one batch deletes.
  for (let turn = 0; turn < 250; turn += 1) await say("old", "old");
  await say("early", "in use");
  await say("late", "in use");
  await world.server.stop();

  const state = join(world.claude.base, "state");
  const old = Date.now() - 11 * DAY_MS;
  const database = new Database(join(state, "synthesis.db"));
  const images = (session: string) => join(state, "images", session);
  const claudeSessions = Object.fromEntries(
    (database.query("select key, claude_session as id from sessions").all() as { key: string; id: string }[]).map(
      ({ key, id }) => [key, id],
    ),
  );
  const current = images(claudeSessions["user:in use"] as string);
  const [unused, recent] = [crypto.randomUUID(), crypto.randomUUID()];
  for (const folder of [images(claudeSessions["user:old"] as string), images(unused), current]) {
    makeMarkedFolder(folder);
    writeFileSync(join(folder, "a.png"), "");
    utimesSync(folder, old / 1000, old / 1000);
  }
  makeMarkedFolder(images(recent));
  // A folder that synthesis has not created.
  mkdirSync(images("theirs"));
  utimesSync(images("theirs"), old / 1000, old / 1000);
  database.run("update sessions set last_active_at = ? where key = 'user:old'", [old]);
  database.run("update turns set ended_at = ? where session = 'user:old'", [old]);
  database.run("update turns set ended_at = ? where rowid = (select min(rowid) from turns where session != ?)", [
    old,
    "user:old",
  ]);
  for (const [id, at] of [
    ["past", old],
    ["just past", Date.now()],
  ] as const) {
    database.run("insert into past_sessions values (?, 'user:in use', '/', 1, ?)", [id, at]);
    database.run(
      "insert into permissions (id, session, tool, input, asked_at) values (?, 'user:in use', 'Bash', '', ?)",
      [id, at],
    );
  }

  const server = await startServer({ ...world.serverEnv, SYNTHESIS_KEEP_DAYS: "10" });
  await server.logged(/expired data deleted/);
  expect(database.query("select key from sessions").all()).toEqual([{ key: "user:in use" }]);
  expect(database.query("select count(*) as count from turns").get()).toEqual({ count: 1 });
  for (const table of ["past_sessions", "permissions"]) {
    expect(database.query(`select count(*) as count from ${table}`).get()).toEqual({ count: 1 });
  }
  expect(readdirSync(join(state, "images")).sort()).toEqual(
    [claudeSessions["user:in use"] ?? "", recent, "theirs"].sort(),
  );
  // The transcript belongs to Claude Code and stays.
  const transcript = `.claude/projects/stand-in/${claudeSessions["user:old"]}.jsonl`;
  expect(existsSync(join(world.claude.home, transcript))).toBe(true);
  // The conversation in use knows what it has delivered. The deleted one starts anew.
  for (const user of ["in use", "old"]) {
    expect(JSON.parse(await say("again", user, server)).choices[0].message.content).toBe("You said: again");
  }
  await server.stop();
  database.close();
});

test("a start deletes what a killed server left of an interactive one-shot, and nothing else that is recent", async () => {
  const env = { SYNTHESIS_ONE_SHOTS: "interactive" };
  await using world = await createWorld({ standIn: true, env });
  await (await world.server.post(ask("kept", { stream: false }))).text();
  const oneShot = world.server.post(ask("hang", { user: undefined })).catch(() => "the server is killed");
  const transcripts = () => readdirSync(join(world.claude.home, ".claude/projects/stand-in"));
  while (transcripts().length < 2) await Bun.sleep(20);
  await world.server.stop("SIGKILL");
  await oneShot;
  const server = await startServer(world.serverEnv);
  await server.logged(/expired data deleted/);
  const database = new Database(join(world.claude.base, "state/synthesis.db"), { readonly: true });
  expect(database.query("select key from sessions").all()).toEqual([{ key: "user:me" }]);
  expect(database.query("select state from turns").all()).toEqual([{ state: "done" }]);
  expect(transcripts()).toHaveLength(1);
  database.close();
  await server.stop();
});
