/** A claude that is booted ahead: the first message of a new conversation finds it, once, and it has seen nobody. */
import { afterEach, expect, test } from "bun:test";
import type { ModelRequest } from "../support/mock-anthropic.ts";
import { descendants, withCommand } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World, type WorldOptions } from "../support/world.ts";

let world: World;
afterEach(() => world[Symbol.asyncDispose]());
const begin = async (options: WorldOptions = {}) => {
  world = await createWorld({ ...options, env: { SYNTHESIS_SPARES: "1", ...options.env } });
};

async function say(content: string, user: string, more: object = {}, server = world.server) {
  const response = await server.post(ask(content, { user, ...more }));
  const answer = (await Array.fromAsync(texts(response))).join("");
  return { answer, found: response.headers.get("x-synthesis-process") };
}
const shownWith = (content: string) =>
  world.mock.requests.findLast(({ asked }) => asked.includes(`\n${content}\n`)) as ModelRequest;
const claudes = () => withCommand(descendants(world.server.pid), /bin\/claude\b/);

/** The next spare that is ready and that was not given here before. */
const seen: string[] = [];
async function spare(server = world.server): Promise<string> {
  const others = seen.map((id) => `(?!${id})`).join("");
  const line = await server.logged(new RegExp(`claude ready.*"spare:${others}[\\w-]+"`));
  const id = /"spare:([\w-]+)"/.exec(line)?.[1] as string;
  seen.push(id);
  return id;
}

test("it answers the next new conversation, which is remembered like any other; the server's restart boots one, too", async () => {
  await begin();
  expect((await say("one", "a")).found).toBe("cold");
  await spare();
  expect(claudes()).toHaveLength(2);
  expect(await say("uno", "b")).toEqual({ answer: "You said: uno", found: "spare" });
  expect(shownWith("uno").shown).not.toContain("\none\n");
  expect(await say("due", "b")).toEqual({ answer: "You said: due", found: "warm" });
  await spare();
  expect(claudes()).toHaveLength(3);
  await world.server.stop();

  const again = await startServer(world.serverEnv);
  await spare(again);
  expect((await say("tre", "b", {}, again)).found).toBe("resumed");
  expect(shownWith("tre").shown).toMatch(/\nuno\n[\s\S]*\ndue\n/);
  expect((await say("ein", "c", {}, again)).found).toBe("spare");
  expect(shownWith("ein").shown).not.toMatch(/\n(one|uno)\n/);
  await again.stop();
});

test("it is given away once, and only to a conversation that would be started like it", async () => {
  await begin();
  await say("one", "a");
  await spare();
  expect((await say("other model", "b", { model: "haiku" })).found).toBe("cold");
  const both = await Promise.all([say("uno", "c", { model: "haiku" }), say("due", "d", { model: "haiku" })]);
  expect(both.map(({ answer }) => answer)).toEqual(["You said: uno", "You said: due"]);
  expect(both.map(({ found }) => found).toSorted()).not.toEqual(["spare", "spare"]);
});

test("its model sees the tools that the conversation's client brings", async () => {
  await begin();
  const tools = (name: string) => [
    { type: "function", function: { name, description: "", parameters: { type: "object", properties: {} } } },
  ];
  await say("one", "a", { tools: tools("first") });
  await spare();
  // One that offers what this client does not have would not do.
  expect((await say("uno", "b", { tools: tools("second") })).found).toBe("cold");
  await spare();
  const more = [...tools("second"), ...tools("third")];
  expect((await say("due", "c", { tools: more })).found).toBe("spare");
  const offered = shownWith("due").body.tools?.filter(({ name }) => name.startsWith("mcp__")) ?? [];
  expect(offered.map(({ name }) => name.split("__").at(-1)).toSorted()).toEqual(["second", "third"]);
});
