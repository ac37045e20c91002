/** On the real claude: the system prompt, model, effort, images and workspace that a request chooses. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { controlKey } from "../support/control.ts";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { agentRequest, assistant, type OpenClawOptions, user } from "../support/openclaw.ts";
import { startServer } from "../support/server.ts";
import { answerText, ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** Everything that the model was shown with this message. */
const shown = async (message: string) => (await world.mock.request(new RegExp(`\n${message}\n`))).shown;

describe("the system prompt", () => {
  const say = async (message: string, before: string[], options: OpenClawOptions) => {
    const history = before.flatMap((one) => [user(one), assistant(`You said: ${one}`)]);
    const { request, headers } = agentRequest([...history, user(message)], {
      session: "agent:main:prompt",
      workspace: world.claude.workspace,
      ...options,
    });
    const response = await world.server.post(request, Object.fromEntries(headers));
    await answerText(response);
    return response.headers.get("x-synthesis-process");
  };

  test("is added to claude's own, and a change restarts and resumes claude", async () => {
    expect(await say("prompt one", [], { agentsFile: "Be kind." })).toBe("cold");
    const first = await shown("prompt one");
    expect(first).toContain("Be kind.");
    expect(first).toContain("Messages reach you in <channel> tags.");

    // Only the part that can change with each request has changed: it is sent with the message.
    expect(await say("prompt two", ["prompt one"], { agentsFile: "Be kind.", date: "2026-11-30" })).toBe("warm");
    expect(await shown("prompt two")).toContain("Current date: 2026-11-30");

    // A heartbeat has its own system prompt, which restarts no claude.
    const heartbeat = "Follow the heartbeat monitor scratch context when provided.";
    expect(await say(heartbeat, ["prompt one", "prompt two"], { agentsFile: "Only look." })).toBe("warm");
    expect(await shown(heartbeat)).toContain("Be kind.");

    const changed = { agentsFile: "Be brief.", date: "2026-11-30" };
    expect(await say("prompt three", ["prompt one", "prompt two"], changed)).toBe("resumed");
    const third = await shown("prompt three");
    expect(third).toContain("Be brief.");
    expect(third).not.toContain("Be kind.");
    for (const prompt of ["prompt one", "prompt two"]) {
      expect(third.split(`\n${prompt}\n</channel>`)).toHaveLength(2);
    }
  });

  test("of other clients is added as it is, and stays when the next request has none", async () => {
    const system = { role: "system", content: "Speak like a pirate." };
    const messages = [system, { role: "user", content: "pirate one" }];
    await answerText(await world.server.post({ ...ask(""), user: "pirate", messages }));
    expect(await shown("pirate one")).toContain("Speak like a pirate.");
    const again = await world.server.post(ask("pirate two", { user: "pirate" }));
    expect(again.headers.get("x-synthesis-process")).toBe("warm");
    await answerText(again);
    expect(await shown("pirate two")).toContain("Speak like a pirate.");
  });

  test("replaces claude's own, or is ignored, as SYNTHESIS_SYSTEM_PROMPT says", async () => {
    for (const mode of ["replace", "ignore"]) {
      await using other = await createWorld({ env: { SYNTHESIS_SYSTEM_PROMPT: mode } });
      const messages = [
        { role: "system", content: "You are a parrot." },
        { role: "user", content: "hello" },
      ];
      await answerText(await other.server.post({ ...ask(""), user: "parrot", messages }));
      const { shown } = await other.mock.request(/\nhello\n/);
      expect(shown.includes("You are a parrot.")).toBe(mode === "replace");
      expect(shown.includes("# Harness")).toBe(mode === "ignore");
      expect(shown).toContain("Messages reach you in <channel> tags.");
    }
  });
});

test("a request chooses the model and the effort, and a change keeps the conversation", async () => {
  const say = async (message: string, more: object) => {
    const response = await world.server.post(ask(message, { user: "model", ...more }));
    await answerText(response);
    const { body } = await world.mock.request(new RegExp(`\n${message}\n`));
    return [response.headers.get("x-synthesis-process"), body.model, body.output_config?.effort];
  };
  expect(await say("model one", {})).toEqual(["cold", expect.stringContaining("opus"), "medium"]);
  // Over stream-json a running process changes both.
  const changed = process.env.TEST_ENGINE === "stream" ? "warm" : "resumed";
  expect(await say("model two", { model: "haiku", reasoning_effort: "high" })).toEqual([
    changed,
    expect.stringContaining("haiku"),
    "high",
  ]);
  expect(await say("model three", { model: "haiku", reasoning_effort: "high" })).toEqual([
    "warm",
    expect.stringContaining("haiku"),
    "high",
  ]);
  expect(await shown("model three")).toContain("model one");
});

test("an image is a file that claude can read, and no other user of the machine", async () => {
  const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
  let path = "";
  world.mock.on(/look at this/, function* ({ asked, body, toolResults }) {
    path = /image_1="([^"]+)"/.exec(asked)?.[1] ?? "";
    if (toolResults.length === 0) yield toolUse("Read", { file_path: path });
    else yield text(JSON.stringify(body.messages).includes('"media_type":"image/png"') ? "A red pixel." : "Nothing.");
  });
  const content = [
    { type: "text", text: "look at this" },
    { type: "image_url", image_url: { url: `data:image/jpeg;base64,${png}` } },
  ];
  const answer = await world.server.post({ ...ask(""), user: "image", messages: [{ role: "user", content }] });
  expect(await answerText(answer)).toBe("A red pixel.");
  expect(path).toMatch(/\/images\/[0-9a-f-]{36}\/[0-9a-f-]{36}\.png$/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

describe("a root that is allowed while the server runs", () => {
  const roots = (world: World, body: object, key = controlKey(world)) =>
    fetch(`${world.server.url}/v1/config/roots`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
    });
  const config = async (world: World) => {
    const headers = { authorization: `Bearer ${controlKey(world)}` };
    return (await fetch(`${world.server.url}/v1/config`, { headers })).json();
  };
  const laterFolder = (world: World) => {
    const folder = join(world.claude.base, "later");
    mkdirSync(folder);
    const status = async () => (await world.server.post(ask("hello"), { "x-openclaw-workspace": folder })).status;
    return { folder, status };
  };

  test("takes effect at once over the control API", async () => {
    await using other = await createWorld({ standIn: true });
    const { folder, status } = laterFolder(other);
    expect(await status()).toBe(400);
    expect((await roots(other, { add: [folder] }, other.server.key)).status).toBe(401);
    expect((await roots(other, { add: ["later"] })).status).toBe(400);
    expect(await status()).toBe(400);
    expect(await (await roots(other, { add: [folder] })).json()).toEqual({
      allowed_roots: [other.claude.workspace, folder],
    });
    expect(await status()).toBe(200);
    expect(await config(other)).toEqual({ object: "config", changed: ["allowedRoots"], problem: null });
    await roots(other, { remove: [folder] });
    expect(await status()).toBe(400);
  });

  test("takes effect after a restart in the configuration file", async () => {
    await using other = await createWorld({ standIn: true });
    const { folder, status } = laterFolder(other);
    const file = join(other.claude.base, "state/config.json");
    const write = (content: string) => writeFileSync(file, content, { mode: 0o600 });
    expect(await config(other)).toMatchObject({ changed: [], problem: null });
    write(JSON.stringify({ allowedRoots: [folder, other.claude.workspace], allowedTools: ["*"], claudeBin: "evil" }));
    expect(await status()).toBe(400);
    // The environment also sets claudeBin, and overrides the file.
    expect(await config(other)).toMatchObject({ changed: ["allowedRoots", "allowedTools"], problem: null });
    write("{");
    expect(await config(other)).toMatchObject({ changed: [], problem: expect.stringContaining("is not valid JSON") });
    write(JSON.stringify({ allowedRoots: [folder] }));
    await other.server.stop();
    const next = await startServer(other.serverEnv);
    expect((await next.post(ask("hello"), { "x-openclaw-workspace": folder })).status).toBe(200);
    await next.stop();
  });
});

test("the workspace is the one that OpenClaw names, if it is allowed", async () => {
  const folder = join(world.claude.base, "agents");
  mkdirSync(join(folder, "ops"), { recursive: true });
  await using other = await createWorld({ env: { SYNTHESIS_ALLOWED_ROOTS: join(folder, "ops") } });
  other.mock.on(/touch/, function* ({ toolResults }) {
    if (toolResults.length === 0) yield toolUse("Bash", { command: "touch here", description: "Make a file" });
    else yield text("done");
  });
  const { request, headers } = agentRequest([user("touch")], { workspace: join(folder, "ops") });
  expect(await answerText(await other.server.post(request, Object.fromEntries(headers)))).toBe("done");
  expect(readdirSync(join(folder, "ops"))).toEqual(["here"]);
  // A workspace in the system prompt that is not allowed is ignored: the conversation gets the default one.
  const guessed = agentRequest([user("touch")], { session: "agent:main:other", workspace: folder });
  expect(await answerText(await other.server.post(guessed.request, Object.fromEntries(guessed.headers)))).toBe("done");
  expect(existsSync(join(other.claude.workspace, "here"))).toBe(true);
});
