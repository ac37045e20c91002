/** `/hooks` with hostile hooks: Claude or its commands could send any hook. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createHttpWorld, type HttpWorld, JSON_TYPE } from "../support/http-world.ts";
import { ask } from "../support/sse.ts";

let world: HttpWorld;
beforeAll(async () => {
  world = await createHttpWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const postHook = ({ SYNTHESIS_HOOK_TOKEN: token }: Record<string, string>, body: string) =>
  fetch(`${world.server.url}/hooks`, {
    method: "POST",
    headers: { ...JSON_TYPE, authorization: `Bearer ${token}` },
    body,
  });

test("a hook that is not JSON is rejected, and its text is not logged", async () => {
  const process = await world.startConversation("text");
  const response = await postHook(process, "unmistakable words");
  const { error } = (await response.json()) as { error: { code: string } };
  expect([response.status, error.code]).toEqual([400, "invalid_json"]);
  expect(await world.say("still there", "text")).toBe("You said: still there");
  expect(world.server.log()).not.toContain("unmistakable");
});

describe("a hook may name as its transcript", () => {
  const transcripts: [what: string, make: (path: string) => string][] = [
    [
      "a fifo",
      (path) => {
        Bun.spawnSync(["mkfifo", path]);
        return path;
      },
    ],
    [
      "a sparse file of 1.5 GB",
      (path) => {
        writeFileSync(path, "");
        truncateSync(path, 1.5 * 1024 ** 3);
        return path;
      },
    ],
    ["a device", () => "/dev/zero"],
    ["a folder", () => "/"],
    ["a relative path", () => "../../../x.jsonl"],
  ];
  test.each(transcripts)("%s, and the conversation continues", async (what, make) => {
    const process = await world.startConversation(what);
    const transcript_path = make(join(world.claude.base, `${what}.jsonl`));
    const client = new AbortController();
    // The response begins with the answer, and this turn writes none.
    const turn = world.server.post(ask("hang", { user: what }), {}, client.signal).catch(() => null);
    await world.server.logged(new RegExp(`message sent.*user:${what}".*"characters":4`));
    const hook = {
      session_id: process.SYNTHESIS_CLAUDE_SESSION,
      transcript_path,
      hook_event_name: "PreToolUse",
      tool_name: "Bash",
      tool_use_id: "toolu_1",
      tool_input: {},
    };
    expect((await postHook(process, JSON.stringify(hook))).status).toBe(200);
    client.abort();
    await turn;
    expect(await world.say("hello again", what)).toBe("You said: hello again");
    expect((await world.request("/health")).status).toBe(200);
  });
});
