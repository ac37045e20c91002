/** On the real claude over stream-json: what a running process, or a spare, is given without a restart. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { apiError, type ModelRequest, text } from "../support/mock-anthropic.ts";
import { claudesOf } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { ask, say } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const stream = { SYNTHESIS_ENGINE: "stream" };
const opus = { model: "opus", reasoning_effort: "high" };

/** The model request of this message. */
const requestWith = (world: World, content: string) =>
  world.mock.requests.findLast(({ asked }) => asked.includes(`\n${content}\n`)) as ModelRequest;
const optionsOf = ({ body: { model, output_config } }: ModelRequest) => [model, output_config?.effort];
const offeredTools = ({ body: { tools } }: ModelRequest) =>
  tools?.flatMap(({ name }) => (name.startsWith("mcp__") ? [name.split("__").at(-1)] : []));

test("model and effort change in the running process, and back to the user's default, also after a restart", async () => {
  await using world = await createWorld({
    env: stream,
    prepare: ({ home }) => {
      mkdirSync(join(home, ".claude"));
      writeFileSync(join(home, ".claude/settings.json"), JSON.stringify({ model: "sonnet" }));
    },
  });
  expect((await say(world.server, "one")).origin).toBe("cold");
  expect((await say(world.server, "two", opus)).origin).toBe("warm");
  expect((await say(world.server, "three")).origin).toBe("warm");
  expect((await say(world.server, "four", opus)).origin).toBe("warm");
  await world.server.stop();
  const restarted = await startServer(world.serverEnv);
  expect((await say(restarted, "five")).origin).toBe("resumed");
  await restarted.stop();
  const [one, two, three, four, five] = ["one", "two", "three", "four", "five"].map((message) =>
    optionsOf(requestWith(world, message)),
  );
  expect(one).toEqual([expect.stringContaining("sonnet"), "medium"]);
  expect(two).toEqual([expect.stringContaining("opus"), "high"]);
  expect([three, four, five]).toEqual([one, two, one]);
  expect(requestWith(world, "five").shown).toContain("\nfour\n");
});

test("an unknown model has the same error in a running process as at a start, and the process lives on", async () => {
  await using world = await createWorld({ env: stream });
  const model = "claude-unknown-9";
  world.mock.on(/./, function* ({ body }) {
    yield body.model === model ? apiError(404, "not_found_error", `model: ${model}`) : text("fine");
  });
  const post = async (user: string, more: object = {}) => {
    const response = await world.server.post(ask("hello", { user, stream: false, ...more }));
    return {
      origin: response.headers.get("x-synthesis-process"),
      status: response.status,
      body: await response.json(),
    };
  };
  const atStart = await post("a", { model });
  await post("b");
  const [claude] = claudesOf(world.server.pid);
  const running = await post("b", { model });
  expect([running.status, running.body]).toEqual([404, atStart.body]);
  expect((await post("b")).origin).toBe("warm");
  expect(claudesOf(world.server.pid)).toContain(claude as number);
});

test("a spare takes the prompt, the tools, the model and the effort of any conversation in its workspace", async () => {
  await using world = await createWorld({ env: { ...stream, SYNTHESIS_SPARES: "1" } });
  const conversation = (user: string, system: string, tool: string, options: object = {}) => ({
    user,
    ...options,
    messages: [
      { role: "system", content: system },
      { role: "user", content: `hello from ${user}` },
    ],
    tools: [{ type: "function", function: { name: tool, parameters: { type: "object", properties: {} } } }],
  });
  await say(world.server, "", conversation("a", "Be brief.", "first"));
  const ready = await world.server.logged(/claude ready.*"spare:/);
  expect(await say(world.server, "", conversation("b", "Be kind.", "second", opus))).toMatchObject({ origin: "spare" });
  const request = requestWith(world, "hello from b");
  expect(optionsOf(request)).toEqual([expect.stringContaining("opus"), "high"]);
  expect(request.shown).toContain("Be kind.");
  expect(request.shown).not.toContain("Be brief.");
  expect(offeredTools(request)).toEqual(["second"]);
  expect((await say(world.server, "more", { user: "b", ...opus })).origin).toBe("warm");
  // The message follows the prompt at once when no option differs.
  const [first] = /spare:[\w-]+/.exec(ready) ?? [];
  await world.server.logged(new RegExp(`claude ready.*"(?!${first})spare:`));
  expect(await say(world.server, "", conversation("c", "Be calm.", "third", opus))).toMatchObject({ origin: "spare" });
  const next = requestWith(world, "hello from c");
  expect(next.shown).toContain("Be calm.");
  expect(offeredTools(next)).toEqual(["third"]);
});
