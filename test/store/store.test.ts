/** What the database holds after some turns. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "../support/server.ts";
import { ask, postUntilSent } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

test("the database holds each conversation and turn without message texts, and only its owner can read it", async () => {
  await using world = await createWorld({ standIn: true });
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const ids: (string | null)[] = [];
  for (const content of ["hello", "lines 3", "exit"]) {
    const response = await world.server.post(ask(content, { stream: false }), {
      "x-openclaw-agent-id": "main",
      "x-openclaw-chat-id": "42",
      traceparent: `00-${trace}-00f067aa0ba902b7-01`,
    });
    await response.text();
    ids.push(response.headers.get("x-request-id"));
  }
  const file = join(world.claude.base, "state/synthesis.db");
  for (const suffix of ["", "-wal", "-shm"]) expect(statSync(`${file}${suffix}`).mode & 0o777).toBe(0o600);
  // The server commits the last changes of a turn when it stops at the latest.
  await world.server.stop();
  const database = new Database(file, { readonly: true });
  const sessions = database.query("select * from sessions").all() as Record<string, unknown>[];
  expect(sessions).toEqual([
    expect.objectContaining({
      key: "chat:main::42",
      source: "chat",
      agent: "main",
      chat: "42",
      workspace: world.claude.workspace,
      turns: 2,
    }),
  ]);
  const turns = database.query("select * from turns order by sent_at").all() as Record<string, number>[];
  expect(turns).toMatchObject([
    {
      id: ids[0],
      session: "chat:main::42",
      state: "done",
      trace_id: trace,
      tokens_out: 1,
      tokens_in: 4,
      tokens_cached: 1,
    },
    { id: ids[1], state: "done", tokens_out: 3 },
    { state: "failed", error_code: "claude_exited", received_at: null },
  ]);
  for (const turn of turns.slice(0, 2)) {
    const times = [turn.sent_at, turn.received_at, turn.first_text_at, turn.ended_at] as number[];
    expect(times).toEqual([...times].sort((one, other) => one - other));
  }
  expect(JSON.stringify([sessions, turns])).not.toContain("hello");
  database.close();
});

test("the next start marks the turns of a killed server as lost and denies its permission prompts", async () => {
  await using world = await createWorld({ standIn: true });
  await postUntilSent(world.server, ask("hang"));
  await world.server.stop("SIGKILL");
  const killed = new Database(join(world.claude.base, "state/synthesis.db"));
  killed.run("insert into permissions (id, session, tool, input, asked_at) values ('q', 'user:me', 'Write', '{}', ?)", [
    Date.now(),
  ]);
  killed.close();
  const again = await startServer({ ...world.claude.env, SYNTHESIS_HOME: join(world.claude.base, "state") });
  const database = new Database(join(world.claude.base, "state/synthesis.db"), { readonly: true });
  expect(database.query("select verdict, way from permissions").all()).toEqual([{ verdict: "deny", way: "gone" }]);
  expect(database.query("select state from turns").all()).toEqual([{ state: "lost" }]);
  database.close();
  await again.stop();
});

test("drizzle studio shows the turns while the server runs", async () => {
  await using world = await createWorld({ standIn: true });
  await (await world.server.post(ask("hello", { stream: false, user: "studio" }))).text();
  using free = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const port = `${free.port}`;
  await free.stop(true);
  const studio = Bun.spawn([join(import.meta.dir, "../../node_modules/.bin/drizzle-kit"), "studio", "--port", port], {
    cwd: join(import.meta.dir, "../.."),
    env: { ...process.env, SYNTHESIS_HOME: join(world.claude.base, "state") },
    stdout: "pipe",
    stderr: "pipe",
  });
  let output = "";
  const decoder = new TextDecoder();
  for await (const bytes of studio.stdout) {
    output += decoder.decode(bytes, { stream: true });
    if (output.includes("up and running")) break;
  }
  const query = { sql: "select session, state from turns", params: [], typings: [], method: "all", mode: "object" };
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "proxy", data: query }),
  });
  expect(await response.json()).toEqual([{ session: "user:studio", state: "done" }]);
  studio.kill();
  await studio.exited;
});
