/** A hook may name any file as its transcript: the server goes on, and the turn ends with what was streamed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
let standIns: string;
beforeAll(async () => {
  world = await createWorld({
    standIn: true,
    prepare: ({ base, env }) => {
      standIns = join(base, "stand-ins");
      env.STAND_IN_ENV = standIns;
    },
  });
});
afterAll(() => world[Symbol.asyncDispose]());

const say = async (content: string, user: string) =>
  (await Array.fromAsync(texts(await world.server.post(ask(content, { user }))))).join("");

/** Posts a hook in the name of the user's claude. */
async function postHook(user: string, body: object): Promise<number> {
  const all = readFileSync(standIns, "utf8").trim().split("\n");
  const env = JSON.parse(all.findLast((line) => line.includes(`"user:${user}"`)) ?? "{}");
  const response = await fetch(`${world.server.url}/hooks`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${env.SYNTHESIS_HOOK_TOKEN}` },
    body: JSON.stringify({ session_id: env.SYNTHESIS_CLAUDE_SESSION, ...body }),
  });
  return response.status;
}

const hostile: [what: string, make: (path: string) => string][] = [
  [
    "fifo",
    (path) => {
      Bun.spawnSync(["mkfifo", path]);
      return path;
    },
  ],
  [
    "sparse",
    (path) => {
      writeFileSync(path, "");
      truncateSync(path, 1.5 * 1024 ** 3);
      return path;
    },
  ],
  ["device", () => "/dev/zero"],
  ["folder", () => "/"],
  ["relative", () => "../../../x.jsonl"],
];
test.each(hostile)("%s", async (what, make) => {
  expect(await say("hello", what)).toBe("You said: hello");
  const path = make(join(world.claude.base, `${what}.jsonl`));
  const leaving = new AbortController();
  // The response begins with the answer, and there is none.
  const running = world.server.post(ask("hang", { user: what }), {}, leaving.signal).catch(() => null);
  await world.server.logged(new RegExp(`message sent.*user:${what}".*"characters":4`));
  const tool = { hook_event_name: "PreToolUse", tool_name: "Bash", tool_use_id: "toolu_1", tool_input: {} };
  expect(await postHook(what, { ...tool, transcript_path: path })).toBe(200);
  leaving.abort();
  await running;
  expect(await say("hello again", what)).toBe("You said: hello again");
  expect((await fetch(`${world.server.url}/health`)).status).toBe(200);
});
