/** Files that are deleted while the server runs affect one process at most. */
import { expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ask, texts } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

test.each([
  ["the run folders of the processes", "state/run"],
  ["Claude Code's session files", "home/.claude/sessions"],
])("the server works on without %s", async (_what, folder) => {
  await using world = await createWorld({ standIn: true });
  const say = async (content: string, user: string) =>
    (await Array.fromAsync(texts(await world.server.post(ask(content, { user }))))).join("");
  expect(await say("one", "me")).toBe("You said: one");
  const path = join(world.claude.base, folder);
  expect(existsSync(path)).toBe(true);
  rmSync(path, { recursive: true });
  expect(await say("two", "you")).toBe("You said: two");
  expect(await say("three", "you")).toBe("You said: three");
  expect((await fetch(`${world.server.url}/health`)).status).toBe(200);
});
