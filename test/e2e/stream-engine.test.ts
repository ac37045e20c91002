/** On the real claude: conversations that are run over stream-json, and the change from one engine to the other. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type OpenAI from "openai";
import { REPEATED } from "../../src/claude/repeated-answer.ts";
import { screenEvent } from "../../src/wire/screen.ts";
import { at, control } from "../support/control.ts";
import { apiError, text, toolUse } from "../support/mock-anthropic.ts";
import { claudesOf, descendants, waitForExit, withCommand } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { ask, events, next, postUntilSent, say, texts } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

const stream = { SYNTHESIS_ENGINE: "stream" };

test("shows text before its line is complete", async () => {
  await using world = await createWorld({ env: stream });
  const rest = Promise.withResolvers<void>();
  world.mock.on(/slowly/, async function* () {
    yield text("The beginning of a long");
    await rest.promise;
    yield text(" paragraph.");
  });
  const answer = texts(await world.server.post(ask("slowly")));
  expect(await next(answer)).toBe("The beginning of a long");
  rest.resolve();
  expect(await next(answer)).toBe(" paragraph.");
  expect((await answer.next()).done).toBe(true);
});

test("remembers a conversation when the engine changes, in both directions", async () => {
  await using world = await createWorld();
  await say(world.server, "one");
  await world.server.stop();
  const second = await startServer({ ...world.serverEnv, ...stream });
  expect(await say(second, "two")).toEqual({ answer: "You said: two", origin: "resumed" });
  await second.stop();
  const third = await startServer(world.serverEnv);
  expect(await say(third, "three")).toEqual({ answer: "You said: three", origin: "resumed" });
  await third.stop();
  const { shown } = await world.mock.request(/\nthree\n/);
  for (const line of ["one", "two", "three"]) expect(shown.split(`\n${line}\n`)).toHaveLength(2);
});

test("takes a leading slash and an @ as plain text", async () => {
  await using world = await createWorld({ env: stream });
  writeFileSync(join(world.claude.workspace, "secret.txt"), "quibble");
  expect((await say(world.server, "/compact @secret.txt")).answer).toBe("You said: /compact @secret.txt");
  expect((await world.mock.request(/compact/)).shown).not.toContain("quibble");
});

test("offers tools that come first with a later message, in the same process", async () => {
  await using world = await createWorld({ env: stream });
  const fn = { name: "look", description: "Looks.", parameters: { type: "object", properties: {} } };
  const tools = [{ type: "function", function: fn }];
  expect((await say(world.server, "one")).origin).toBe("cold");
  world.mock.on(/\ntwo\n/, () => [toolUse("mcp__plugin_synthesis_chat__look", {})]);
  const calling = (
    await world.server.post(ask("two", { tools, stream: false }))
  ).json() as Promise<OpenAI.ChatCompletion>;
  const calls = (await calling).choices[0]?.message.tool_calls ?? [];
  expect(calls.map((call) => call.type === "function" && call.function.name)).toEqual(["look"]);
  expect(world.server.log().match(/claude started/g)).toHaveLength(1);
});

test("interrupts the turn of a client that disconnects, and keeps the process", async () => {
  await using world = await createWorld({ env: stream });
  world.mock.on(/hang/, async function* ({ closed }) {
    yield text("begun");
    await closed;
  });
  const client = new AbortController();
  const { response } = await postUntilSent(world.server, ask("hang"), "user:me", client.signal);
  expect(await next(texts(await response))).toBe("begun");
  client.abort();
  expect(await (await world.mock.request(/hang/)).closed).toBe("aborted");
  expect(await say(world.server, "next")).toEqual({ answer: "You said: next", origin: "warm" });
});

test("starts nothing of a folder that the user has not accepted", async () => {
  await using world = await createWorld({
    env: { ...stream, SYNTHESIS_ALLOWED_ROOTS: "" },
    trusted: false,
    prepare: ({ base }) => {
      const folder = join(base, "workspace/inner");
      mkdirSync(join(folder, ".claude"), { recursive: true });
      const hooks = { SessionStart: [{ hooks: [{ type: "command", command: `touch ${base}/ran` }] }] };
      writeFileSync(join(folder, ".claude/settings.json"), JSON.stringify({ hooks }));
    },
  });
  const headers = { "x-openclaw-workspace": join(world.claude.workspace, "inner") };
  const response = await world.server.post(ask("hello"), headers);
  expect(response.status).toBe(503);
  expect(((await response.json()) as { error: { message: string } }).error.message).toContain("does not trust");
  expect(existsSync(join(world.claude.base, "ran"))).toBe(false);
});

test("nothing of a process outlives a server that is killed, not even a command that Claude runs", async () => {
  await using world = await createWorld({ env: { ...stream, SYNTHESIS_PERMISSION_MODE: "acceptEdits" } });
  const marker = `4${Date.now()}`;
  world.mock.on(/sleep/, function* () {
    yield toolUse("Bash", { command: `sleep ${marker}` });
  });
  const { response } = await postUntilSent(world.server, ask("sleep"));
  response.then((one) => one.text()).catch(() => {});
  const sleeping = () => withCommand(descendants(world.server.pid), new RegExp(`^sleep ${marker}`));
  while (sleeping().length === 0) await Bun.sleep(20);
  const pids = [...claudesOf(world.server.pid), ...sleeping()];
  process.kill(world.server.pid, "SIGKILL");
  await waitForExit(pids);
});

test("refuses a folder with an unreadable settings file that restricts Claude, and says when another is skipped", async () => {
  const settings = (base: string) => join(base, "workspace/.claude/settings.json");
  await using world = await createWorld({
    env: stream,
    prepare: ({ base }) => {
      mkdirSync(join(base, "workspace/.claude"));
      writeFileSync(settings(base), '{ "permissions": { "deny": ["Bash"] }, ');
    },
  });
  const refused = await world.server.post(ask("hello"));
  const { error } = (await refused.json()) as { error: { code: string; message: string } };
  expect([refused.status, error.code]).toEqual([503, "claude_not_ready"]);
  expect(error.message).toContain(settings(world.claude.base));
  writeFileSync(settings(world.claude.base), '{ "model": ');
  expect((await say(world.server, "hello")).answer).toMatch(/^\[synthesis: .*settings\.json.*\]\n\nYou said: hello$/s);
  expect((await say(world.server, "again")).answer).toBe("You said: again");
});

describe.each(["interactive", "stream"])("when a stream of the model breaks off, %s", (engine) => {
  test("lets what was shown stand, and adds the rest, or says what is different", async () => {
    await using world = await createWorld({ env: { SYNTHESIS_ENGINE: engine } });
    const shown = "The sky is blue.\nIt has";
    const answers = async (whole: string) => {
      const name = crypto.randomUUID();
      world.mock.on(new RegExp(name), function* ({ body }) {
        yield text(body.stream ? shown : whole);
        if (body.stream) yield apiError(500, "overloaded_error", "Overloaded");
      });
      return (await say(world.server, name)).answer;
    };
    expect(await answers(`${shown} clouds.`)).toBe(`${shown} clouds.`);
    world.mock.on(/look/, function* ({ body, toolResults }) {
      if (toolResults.length > 0) yield text("Nothing.");
      else if (body.stream) {
        yield text(shown);
        yield apiError(500, "overloaded_error", "Overloaded");
      } else {
        yield text("I look.");
        yield toolUse("Read", { file_path: "/nowhere" });
      }
    });
    const { answer } = await say(world.server, "look");
    expect(answer.startsWith(`${shown}\n\n`)).toBe(true);
    expect(answer.endsWith(`${REPEATED}I look.\n\nNothing.`)).toBe(true);
    for (const other of ["Roses are red.\nSo is wine.", "The sky is blue.\nIt had clouds.", "The sky is blue."]) {
      expect(await answers(other)).toBe(`${shown}\n\n${REPEATED}${other}`);
    }
  });
});

test("shows a viewer what Claude writes and does", async () => {
  await using world = await createWorld({ env: stream });
  world.mock.on(/list/, function* ({ toolResults }) {
    if (toolResults.length === 0) yield toolUse("Read", { file_path: "/nowhere" });
    else yield text("There is nothing.");
  });
  await say(world.server, "list");
  const viewer = new AbortController();
  const response = await control(world, `${at("user:me")}/screen`, { signal: viewer.signal });
  let seen = "";
  for await (const event of events(response) as AsyncGenerator<unknown>) {
    const read = screenEvent.parse(event);
    if (read.type === "output") seen += Buffer.from(read.bytes, "base64").toString();
    if (seen.includes("done")) break;
  }
  viewer.abort();
  const order = ["> list", "uses Read", "There is nothing.", "done"].map((part) => seen.indexOf(part));
  expect(order).toEqual(order.toSorted((one, other) => one - other));
  expect(order).not.toContain(-1);
});

test("refuses a folder once its settings file, which restricts Claude, has an invalid value", async () => {
  const writeSettings = (workspace: string, model: unknown) =>
    writeFileSync(join(workspace, ".claude/settings.json"), JSON.stringify({ model, permissions: { deny: ["Bash"] } }));
  await using world = await createWorld({
    env: stream,
    prepare: ({ workspace }) => {
      mkdirSync(join(workspace, ".claude"));
      writeSettings(workspace, "claude-opus-4-8");
    },
  });
  expect((await world.server.post(ask("hello", { user: "before" }))).status).toBe(200);
  writeSettings(world.claude.workspace, 5);
  const refused = await world.server.post(ask("hello", { user: "after" }));
  const { error } = (await refused.json()) as { error: { code: string; message: string } };
  expect([refused.status, error.code]).toEqual([503, "claude_not_ready"]);
  expect(error.message).toContain("workspace/.claude/settings.json");
});

test("does not use an API key in the user's settings that the user has not approved", async () => {
  await using world = await createWorld({
    env: stream,
    loggedIn: false,
    prepare: ({ home }) => {
      mkdirSync(join(home, ".claude"));
      const env = { ANTHROPIC_API_KEY: "sk-ant-test-unapproved-000000000000000000" };
      writeFileSync(join(home, ".claude/settings.json"), JSON.stringify({ env }));
    },
  });
  const refused = await world.server.post(ask("hello"));
  expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([
    503,
    "claude_not_logged_in",
  ]);
});
