/** On the real claude: what reaches the receiver of notifications while Claude waits for a person. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { controlKey } from "../support/control.ts";
import { apiError, text, toolUse } from "../support/mock-anthropic.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { answerText, ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let receiver: Receiver;
let world: World;
beforeAll(async () => {
  receiver = startReceiver();
  const url = receiver.origin.replace("//", "//ann:hidden-password@");
  world = await createWorld({
    env: {
      SYNTHESIS_PERMISSIONS: "ask",
      SYNTHESIS_PERMISSION_TIMEOUT_MS: "20000",
      SYNTHESIS_NOTIFY_URL: `${url}/hidden-path?token=hidden-token`,
    },
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await receiver.stop();
});

const unstreamed = (content: string) => ({ ...ask(content), stream: false });

/** The status of a page that needs no key, and its text. */
async function page(path: string): Promise<[status: number, body: string]> {
  const response = await fetch(`${world.server.url}${path}`);
  return [response.status, await response.text()];
}

test("a permission prompt that waits is reported without the user's words", async () => {
  const file = join(world.claude.workspace, "private.txt");
  world.mock.on(/private/, function* ({ toolResults }) {
    if (toolResults.length === 0) yield toolUse("Write", { file_path: file, content: "private" });
    else yield text("written");
  });
  const answer = answerText(await world.server.post(ask("keep it private", { user: "private-name" })));
  const { json, body } = await receiver.get(1);

  expect(json).toMatchObject({ kind: "permission_prompt", count: 1, prompts: [{ tool: "Write" }] });
  expect(body).not.toContain("private");
  const [prompt] = json.prompts as [{ id: string }];
  const verdict = await fetch(`${world.server.url}/v1/permissions/${prompt.id}`, {
    method: "POST",
    headers: { authorization: `Bearer ${controlKey(world)}`, "content-type": "application/json" },
    body: JSON.stringify({ behavior: "allow" }),
  });
  expect(verdict.status).toBe(200);
  expect(await answer).toEndWith("written");
  expect(existsSync(file)).toBe(true);
});

test("a login that the API rejects is reported, also by /health and /ready, and so is one that works again", async () => {
  let isRejected = true;
  world.mock.on(/who am I/, function* () {
    if (isRejected) yield apiError(401, "authentication_error", "invalid x-api-key");
    else yield text("you");
  });
  expect((await world.server.post(unstreamed("who am I"))).status).toBe(503);

  expect((await receiver.get(2)).json).toMatchObject({ kind: "login_lost" });
  expect(await page("/health")).toEqual([200, expect.stringContaining('"login":"expired"')]);
  expect(await page("/ready")).toEqual([503, expect.stringContaining("claude_not_logged_in")]);

  isRejected = false;
  expect((await world.server.post(unstreamed("and now, who am I"))).status).toBe(200);
  expect((await receiver.get(3)).json).toMatchObject({ kind: "login_restored" });
  expect(await page("/health")).toEqual([200, expect.stringContaining('"login":"ok"')]);
  expect((await page("/ready"))[0]).toBe(200);
});

test("the address of the receiver is in no log line and on no page", async () => {
  const pages = await Promise.all(["/health", "/ready"].map(page));

  expect(receiver.received[0]?.path).toBe("/hidden-path");
  await world.server.logged(/"kind":"login_restored"/);
  expect(world.server.log() + JSON.stringify(pages)).not.toMatch(/hidden-/);
});
