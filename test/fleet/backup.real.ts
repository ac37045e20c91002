/** A fleet with the real claude, whose Postgres is restored from a back-up that was made while it ran. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "../support/mock-anthropic.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { answerText, ask } from "../support/sse.ts";
import { createFleet, type FleetWorld, type TestNode } from "./world.ts";

let postgres: TestPostgres;
let fleet: FleetWorld;
let first: TestNode;
let second: TestNode;

beforeAll(async () => {
  postgres = await startPostgres();
  fleet = await createFleet({ shared: { postgres, url: await postgres.createDatabase("fleet") } });
  [first, second] = fleet.nodes as [TestNode, TestNode];
}, 60_000);
afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
});

/** @param before what the user has said before, if the client sends its history */
async function say(node: TestNode, content: string, user: string, before: readonly string[] = []): Promise<string> {
  const history = before.flatMap((said) => [
    { role: "user", content: said },
    { role: "assistant", content: `You said: ${said}` },
  ]);
  const response = await node.server.post(ask(content, { user, messages: [...history, { role: "user", content }] }));
  expect(response.status).toBe(200);
  return answerText(response);
}

/** What the model was sent last. */
const sentToModel = (): string => JSON.stringify(fleet.mock.requests.at(-1)?.body.messages);
/** How often each of these answers is in it. */
const timesSent = (...said: string[]): number[] =>
  said.map((content) => sentToModel().split(`You said: ${content}`).length - 1);

const rows = async (sql: string) => (await postgres.query(sql, "fleet")).trim().split("\n");

/** The transcript of a conversation on the disk of a node. */
async function transcript({ home }: TestNode, user: string): Promise<string> {
  const [claudeSession] = await rows(`SELECT claude_session FROM sessions WHERE key = 'user:${user}'`);
  const projects = join(home.home, ".claude/projects");
  const [file = ""] = new Bun.Glob(`*/${claudeSession}.jsonl`).scanSync({ cwd: projects });
  return readFileSync(join(projects, file), "utf8");
}

test("conversations continue on any node as they were at the back-up", async () => {
  const released = Promise.withResolvers<void>();
  fleet.mock.on(/\nduring\n/, async function* () {
    await released.promise;
    yield text("You said: during");
  });
  // The echo would begin with what the message says about the history.
  fleet.mock.on(/\nnow\n/, () => [text("You said: now")]);
  const users = ["stays", "moves", "works"];
  await Promise.all(users.map((user) => say(first, "before", user)));
  const running = say(first, "during", "works");
  await fleet.mock.request(/\nduring\n/);
  const backup = await postgres.backUp("fleet");
  released.resolve();
  expect(await running).toBe("You said: during");
  await Promise.all(users.map((user) => say(first, "after", user)));

  await Promise.all(fleet.nodes.map(({ server }) => server.stop()));
  await postgres.restore(backup);
  await Promise.all(fleet.nodes.map((node) => node.restart()));

  // The disk of this node has more, and the client does not say what.
  expect(await transcript(first, "stays")).toContain("You said: after");
  expect(await say(first, "now", "stays")).toBe("You said: now");
  expect(timesSent("before", "after")).toEqual([1, 0]);
  expect(await transcript(first, "stays")).not.toContain("You said: after");
  // The disk of this node has nothing.
  expect(await say(second, "now", "moves", ["before", "after"])).toBe("You said: now");
  expect(timesSent("before", "after")).toEqual([1, 1]);
  // A turn of this one was running during the back-up, which may have its message, but not its answer.
  expect(await say(first, "now", "works", ["before", "during", "after"])).toBe("You said: now");
  expect(timesSent("before", "after")).toEqual([1, 1]);
  expect(sentToModel()).toContain("during");
  // The nodes still send each other what is not theirs.
  expect(await say(second, "later", "stays")).toBe("You said: later");
  expect(timesSent("before", "after", "now")).toEqual([1, 0, 1]);

  expect(
    await rows("SELECT session, string_agg(state, ',' ORDER BY position) FROM turns GROUP BY 1 ORDER BY 1"),
  ).toEqual(["user:moves|done,done", "user:stays|done,done,done", "user:works|done,lost,done"]);
});
