/** What an operator does with a conversation, and what a user answers in it, reaches its node from any other one. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { permissionList } from "../../src/wire/permissions.ts";
import { answerText, ask } from "../support/sse.ts";
import { createFleet, type FleetWorld, type TestNode } from "./world.ts";

let fleet: FleetWorld;
let [owner, other]: TestNode[] = [];

beforeAll(async () => {
  // Bun would end a request of the server that is silent for so long, in s. By default it takes five minutes.
  const env = { SYNTHESIS_PERMISSIONS: "ask", BUN_CONFIG_HTTP_IDLE_TIMEOUT: "1" };
  fleet = await createFleet({ standIn: true, env });
  [owner, other] = fleet.nodes as [TestNode, TestNode];
}, 60_000);
afterAll(() => fleet?.[Symbol.asyncDispose]());

const post = (content: string, user: string) => (owner as TestNode).server.post(ask(content, { user }));
const rows = async (sql: string) => (await fleet.postgres.query(sql)).trim().split("\n").filter(Boolean);
/** Sends a request with the control key to the node that does not have the conversation. */
const control = (path: string, init: RequestInit = {}) => fleet.control(other as TestNode, path, init);
const session = (user: string, path = "") => `/v1/sessions/${encodeURIComponent(`user:${user}`)}${path}`;

/** Asks until the answer is there. The test's timeout ends the wait. */
async function until<T>(read: () => Promise<T | null | undefined>): Promise<T> {
  for (;;) {
    const value = await read();
    if (value != null) return value;
    await Bun.sleep(20);
  }
}

test("a permission is seen and allowed", async () => {
  const response = post("permit ls", "asks");
  const pending = await until(async () => {
    const { data } = permissionList.parse(await (await control("/v1/permissions")).json());
    return data[0];
  });
  expect(pending.session).toBe("user:asks");
  expect((await control(`/v1/permissions/${pending.id}`)).status).toBe(200);
  const verdict = await control(`/v1/permissions/${pending.id}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ behavior: "allow" }),
  });
  expect([verdict.status, await verdict.json()]).toEqual([200, { id: pending.id, behavior: "allow" }]);
  expect(await answerText(await response)).toEndWith("You said: permit ls");
  expect((await control(`/v1/permissions/${pending.id}`)).status).toBe(404);
});

test("its screen is shown", async () => {
  await (await post("hello", "seen")).text();
  const leaving = new AbortController();
  const screen = await control(session("seen", "/screen"), { signal: leaving.signal });
  expect(screen.status).toBe(200);
  const { value } = await (screen.body as ReadableStream<Uint8Array>).getReader().read();
  expect(value?.length).toBeGreaterThan(0);
  leaving.abort();
});

test("an answer may be silent for longer than Bun allows by default", async () => {
  await (await post("hello", "slow")).text();
  const response = await (other as TestNode).server.post(ask("hang 9000", { user: "slow" }));
  expect([response.status, await answerText(response)]).toEqual([200, "You said: hang 9000"]);
});

test("a turn is interrupted", async () => {
  const response = post("hang", "hangs");
  await until(async () => ((await rows("SELECT 1 FROM turns WHERE session = 'user:hangs'")).length > 0 ? true : null));
  await until(async () => {
    const { status } = await control(session("hangs", "/interrupt"), { method: "POST" });
    return status === 200 ? true : null;
  });
  expect((await response).status).toBe(400);
});

test("a conversation is reset, and then deleted with all that Postgres has of it", async () => {
  await (await post("hello", "ends")).text();
  const claudeSession = () => rows("SELECT claude_session FROM sessions WHERE key = 'user:ends'");
  const [before = ""] = await claudeSession();
  expect((await control(session("ends", "/reset"), { method: "POST" })).status).toBe(200);
  // What was answered is recorded: it would hold although the node were lost now.
  expect((await claudeSession())[0]).not.toBe(before);
  expect(await answerText(await post("again", "ends"))).toBe("You said: again");
  expect((await control(session("ends"), { method: "DELETE" })).status).toBe(200);
  expect(await claudeSession()).toEqual([]);
  expect(await rows(`SELECT path FROM files WHERE claude_session = '${before}'`)).toEqual([]);
  expect((await control(session("ends"))).status).toBe(404);
});

test("one that is unknown is unknown on every node", async () => {
  expect((await control(session("unknown"))).status).toBe(404);
  expect(await rows("SELECT key FROM claims WHERE key = 'user:unknown'")).toEqual([]);
});

describe("a permission prompt in the chat", () => {
  let chats: FleetWorld;
  let [asking, answering]: TestNode[] = [];
  beforeAll(async () => {
    const url = await fleet.postgres.createDatabase("chats");
    chats = await createFleet({ standIn: true, shared: { postgres: fleet.postgres, url } });
    [asking, answering] = chats.nodes as [TestNode, TestNode];
  }, 60_000);
  afterAll(() => chats?.[Symbol.asyncDispose]());

  test.each([
    ["yes", "allow"],
    ["no", "deny"],
  ])("is answered by a %p that reaches another node", async (word, verdict) => {
    const key = `agent:main:telegram:direct:${word}`;
    const say = async (node: TestNode | undefined, content: string) => {
      const headers = { "x-openclaw-session-key": key, "x-openclaw-sender-id": "ann" };
      return answerText(await (node as TestNode).server.post(ask(content), headers));
    };
    const recorded = async (sql: string) => (await chats.postgres.query(sql, "chats")).trim();
    expect(await say(asking, "permit ls")).toStartWith("May I do this? `Bash: ls`\n");
    expect(await recorded(`SELECT verdict IS NULL FROM permissions WHERE session = '${key}'`)).toBe("t");
    // A node that took the verdict for a message would answer "You said: yes".
    expect(await say(answering, word)).toBe("You said: permit ls");
    expect(await recorded(`SELECT state FROM turns WHERE session = '${key}'`)).toBe("done");
    expect(await recorded(`SELECT verdict, way, decided_by FROM permissions WHERE session = '${key}'`)).toBe(
      `${verdict}|chat|ann`,
    );
    expect(answering?.server.log()).not.toContain("claude started");
  });
});
