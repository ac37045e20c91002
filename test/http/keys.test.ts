/** Named chat keys: each key's conversations are its own, whatever the other key's client sends. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { controlKey } from "../support/control.ts";
import { createHttpWorld, type HttpWorld, JSON_TYPE } from "../support/http-world.ts";
import { PROGRAM } from "../support/server.ts";
import { ask } from "../support/sse.ts";

let world: HttpWorld;
/** The key of Bob's programs; the others have the server's own. */
let bob: string;
let rooms: string;

/** Runs `synthesis keys …`. @returns what it has printed */
async function keys(...args: string[]): Promise<string> {
  const child = Bun.spawn([...PROGRAM, "keys", ...args], { env: world.serverEnv, stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return (out + err).trim();
}

beforeAll(async () => {
  world = await createHttpWorld({ env: { SYNTHESIS_ENGINE: "stream" } });
  rooms = join(world.claude.base, "rooms");
  mkdirSync(join(rooms, "bob"), { recursive: true });
  bob = await keys("add", "bob", "--workspace", join(rooms, "bob"), "--claude-tools", "none", "--max-requests", "2");
});
afterAll(() => world[Symbol.asyncDispose]());

interface Body {
  readonly id: string;
  readonly error?: { readonly code: string };
  readonly choices?: { message: { content: string; tool_calls?: { id: string }[] } }[];
}
async function post(path: string, key: string, body: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${world.server.url}${path}`, {
    method: "POST",
    headers: { ...JSON_TYPE, authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify(body),
  });
  const content = (await response.json()) as Body;
  const session = response.headers.get("x-synthesis-session");
  return { ...content, status: response.status, session, origin: response.headers.get("x-synthesis-process") };
}
const chat = (key: string, body: object, headers: Record<string, string> = {}) =>
  post("/v1/chat/completions", key, { messages: [{ role: "user", content: "hello" }], ...body }, headers);
const respond = (key: string, body: object) => post("/v1/responses", key, { input: "hello", ...body });
const own = () => world.server.key;

describe("the same name in two keys is two conversations:", () => {
  test.each<[what: string, body: object, headers: Record<string, string>, session: string]>([
    ["a user", { user: "me" }, {}, "user:me"],
    ["OpenClaw's session key", {}, { "x-openclaw-session-key": "agent:main:main" }, "agent:main:main"],
    ["a chat", {}, { "x-openclaw-chat-id": "7", "x-openclaw-agent-id": "ops" }, "chat:ops::7"],
    ["a session affinity", {}, { "x-session-affinity": "s-1:4" }, "affinity:s-1"],
    ["an agent", {}, { "x-openclaw-agent-id": "ops" }, "agent-id:ops"],
  ])("%s", async (_what, body, headers, session) => {
    for (const [key, expected] of [
      [own(), session],
      [bob, `of:bob:${session}`],
    ] as const) {
      expect(await chat(key, body, headers)).toMatchObject({ status: 200, session: expected, origin: "cold" });
      expect(await chat(key, body, headers)).toMatchObject({ session: expected, origin: "warm" });
    }
  });

  test("a conversation of the Responses API", async () => {
    await respond(own(), { conversation: "c" });
    expect(await respond(bob, { conversation: "c" })).toMatchObject({
      session: "of:bob:conversation:c",
      origin: "cold",
    });
  });
});

test("a user id of the Messages API names the conversation of its own key", async () => {
  const messages = [{ role: "user", content: "hello" }];
  const message = (key: string) => post("/v1/messages", key, { messages, metadata: { user_id: "m" } });
  expect(await message(own())).toMatchObject({ session: "user:m", origin: "cold" });
  expect(await message(bob)).toMatchObject({ session: "of:bob:user:m", origin: "cold" });
});

describe("no name reaches a conversation of the other key:", () => {
  test("its session key, in either direction", async () => {
    await chat(bob, { user: "secret" });
    for (const name of ["of:bob:user:secret", "OF:bob:user:secret", "key:of:bob:user:secret"]) {
      const { session, origin } = await chat(own(), {}, { "x-openclaw-session-key": name });
      expect([session, origin]).toEqual([/^(of|key):/.test(name) ? `key:${name}` : name, "cold"]);
    }
    const { session } = await chat(bob, {}, { "x-openclaw-session-key": "user:me" });
    expect(session).toBe("of:bob:key:user:me");
  });

  test("its affinity id", async () => {
    await chat(bob, { user: "affine" }, { "x-session-affinity": "s-2:1" });
    expect(await chat(bob, {}, { "x-session-affinity": "s-2:1" })).toMatchObject({ session: "of:bob:affinity:s-2" });
    for (const id of ["s-2:1", "of:bob:s-2:1"]) {
      const { session } = await chat(own(), {}, { "x-session-affinity": id });
      expect(session).not.toContain("of:bob:affinity:s-2");
      expect(session).toStartWith("affinity:");
    }
  });

  test.each([
    ["of a named conversation", { user: "responses" }],
    ["without a name", {}],
  ])("the id of its response %s", async (_what, body) => {
    const { id } = await respond(own(), body);
    expect(await respond(bob, { previous_response_id: id })).toMatchObject({
      status: 400,
      error: { code: "previous_response_not_found" },
    });
    for (const [path, method] of [
      [`/v1/responses/${id}`, "GET"],
      [`/v1/responses/${id}/input_items`, "GET"],
      [`/v1/responses/${id}/cancel`, "POST"],
    ] as const) {
      const send = async (key: string) => {
        const response = await world.request(path, { method, key });
        return ((await response.json()) as Body).error?.code;
      };
      expect([path, await send(bob), await send(own())]).toEqual([path, "response_not_found", "invalid_request"]);
    }
    expect((await world.request(`/v1/responses/${id}`, { method: "DELETE", key: bob })).status).toBe(404);
    const input = [
      { type: "item_reference", id: id?.replace(/^resp(.*)/, "msg$1_0") },
      { role: "user", content: "hello" },
    ];
    expect((await respond(bob, { input })).status).toBe(400);
    expect(await respond(own(), { input })).toMatchObject({ status: 200, origin: "warm" });
    expect((await world.request(`/v1/responses/${id}`, { method: "DELETE", key: bob })).status).toBe(404);
    expect(await respond(own(), { previous_response_id: id })).toMatchObject({ status: 200, origin: "warm" });
  });

  test("the id of an item of its response, as an item and as a reference", async () => {
    const { output } = (await respond(own(), { input: "a secret" })) as unknown as { output: { id: string }[] };
    const question = { role: "user", content: "go on" };
    const withItem = (key: string) => respond(key, { input: [output.at(-1), question] });
    const withReference = (key: string) =>
      respond(key, { input: [{ type: "item_reference", id: output.at(-1)?.id }, question] });
    expect(await withReference(bob)).toMatchObject({ status: 400 });
    const theirs = await withItem(bob);
    expect(theirs).toMatchObject({ status: 200, origin: "cold" });
    expect(theirs.session).toStartWith("of:bob:");
    expect((await withReference(own())).session).toBe((await withItem(own())).session);
  });

  test("the id of its call, in a chat without a name", async () => {
    const tools = [{ type: "function", function: { name: "lookup", parameters: { type: "object" } } }];
    const messages: object[] = [{ role: "user", content: "call 1" }];
    const { choices } = await chat(own(), { messages, tools });
    const message = choices?.[0]?.message;
    expect(message?.tool_calls).toHaveLength(1);
    const result = { role: "tool", tool_call_id: message?.tool_calls?.[0]?.id, content: "A" };
    const continued = { messages: [...messages, message, result], tools };
    expect(await chat(bob, continued)).toMatchObject({ status: 200, origin: "cold" });
    expect(await chat(own(), continued)).toMatchObject({ status: 200, origin: "warm" });
  });

  test("its history, in a chat without a name", async () => {
    const messages: object[] = [{ role: "user", content: "a secret" }];
    const { choices } = await chat(own(), { messages });
    const continued = { messages: [...messages, choices?.[0]?.message, { role: "user", content: "go on" }] };
    expect(await chat(bob, continued)).toMatchObject({ status: 200, origin: "cold" });
    expect(await chat(own(), continued)).toMatchObject({ status: 200, origin: "warm" });
  });
});

test("a named key opens no control route", async () => {
  for (const path of ["/v1/sessions", "/v1/sessions/user%3Ame", "/v1/permissions", "/v1/usage", "/v1/config"]) {
    expect([path, (await world.request(path, { key: bob })).status]).toEqual([path, 401]);
  }
});

test("a key works in its own folders only", async () => {
  const { workspace } = world.claude;
  const inFolder = (key: string, folder: string, user: string) =>
    chat(key, { user }, { "x-openclaw-workspace": folder });
  expect(await inFolder(bob, join(rooms, "bob"), "inside")).toMatchObject({ status: 200 });
  for (const folder of [workspace, rooms, join(rooms, "bob/../other")]) {
    expect(await inFolder(bob, folder, "outside")).toMatchObject({ error: { code: "workspace_not_allowed" } });
  }
  const shown = await world.request("/v1/sessions/of%3Abob%3Auser%3Ame", { key: controlKey(world) });
  expect(await shown.json()).toMatchObject({ workspace: join(rooms, "bob") });
});

test("a key has at most as many requests open as it may", async () => {
  const client = new AbortController();
  for (const user of ["slow-1", "slow-2"]) {
    const headers = { authorization: `Bearer ${bob}` };
    world.server.post(ask("hang", { user }), headers, client.signal).catch(() => {});
    await world.server.logged(new RegExp(`message sent.*"of:bob:user:${user}"`));
  }
  expect(await chat(bob, { user: "third" })).toMatchObject({ status: 429, error: { code: "queue_full" } });
  expect(await chat(own(), { user: "third" })).toMatchObject({ status: 200 });
  client.abort();
  while ((await chat(bob, { user: "third" })).status !== 200) await Bun.sleep(20);
});

describe("synthesis keys", () => {
  test("lists what each key may, and never shows a key again", async () => {
    const list = await keys("list");
    expect(list).toMatch(/^NAME .*\nbob .*rooms\/bob .*its workspace .*none .*at most 2$/);
    expect(`${list}${await keys("list", "--json")}`).not.toContain(bob.slice(-20));
  });

  test.each([
    [["add", "bob"], "There is a key bob already"],
    [["add", "Bob Smith"], "small letters"],
    [["add", "eve", "--max-requests", "0"], "--max-requests: expected a whole number"],
    [["add", "eve", "--claude-tools", "none,Read"], "--claude-tools: expected"],
    [["revoke", "mallory"], "There is no key mallory"],
  ])("%p is refused", async (args, message) => {
    expect(await keys(...args)).toContain(message);
  });

  test("revokes a key at once, and its conversations stay for a new key of the same name", async () => {
    const eve = await keys("add", "eve");
    expect(await chat(eve, { user: "me" })).toMatchObject({ session: "of:eve:user:me" });
    await keys("revoke", "eve");
    expect(await chat(eve, { user: "me" })).toMatchObject({ status: 401 });
    expect(await chat(await keys("add", "eve"), { user: "me" })).toMatchObject({ status: 200, origin: "warm" });
    expect(await chat(eve, { user: "me" })).toMatchObject({ status: 401 });
  });

  test("a damaged file refuses the named keys, and not the server's own", async () => {
    writeFileSync(join(world.claude.base, "state/keys.json"), "{");
    expect(await chat(bob, { user: "me" })).toMatchObject({ status: 401 });
    expect(await chat(own(), { user: "me" })).toMatchObject({ status: 200 });
    expect(world.server.log()).toContain("named keys not accepted");
  });
});
