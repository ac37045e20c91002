/** On the real claude: a prewarmed process, which takes the first message of one new conversation. */
import { afterEach, expect, test } from "bun:test";
import type { ModelRequest } from "../support/mock-anthropic.ts";
import { claudesOf } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { say } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
afterEach(() => world[Symbol.asyncDispose]());
const begin = async () => {
  world = await createWorld({ env: { SYNTHESIS_SPARES: "1" } });
};
/** The model request of this message. */
const requestWith = (content: string) =>
  world.mock.requests.findLast(({ asked }) => asked.includes(`\n${content}\n`)) as ModelRequest;

/** Waits for a prewarmed process that no earlier call has returned. */
const seen: string[] = [];
async function waitForSpare(server = world.server): Promise<void> {
  const others = seen.map((id) => `(?!${id})`).join("");
  const line = await server.logged(new RegExp(`claude ready.*"spare:${others}[\\w-]+"`));
  seen.push(/"spare:([\w-]+)"/.exec(line)?.[1] as string);
}

/** One client tool, as a request has it. */
const tools = (...names: string[]) =>
  names.map((name) => ({
    type: "function",
    function: { name, description: "", parameters: { type: "object", properties: {} } },
  }));

test("takes a new conversation, which is resumed like any other; a restarted server prewarms one, too", async () => {
  await begin();
  expect((await say(world.server, "one", { user: "a" })).origin).toBe("cold");
  await waitForSpare();
  expect(claudesOf(world.server.pid)).toHaveLength(2);
  expect(await say(world.server, "uno", { user: "b" })).toEqual({ answer: "You said: uno", origin: "spare" });
  expect(requestWith("uno").shown).not.toContain("\none\n");
  expect(await say(world.server, "due", { user: "b" })).toEqual({ answer: "You said: due", origin: "warm" });
  await world.server.stop();

  const restarted = await startServer(world.serverEnv);
  await waitForSpare(restarted);
  expect((await say(restarted, "tre", { user: "b" })).origin).toBe("resumed");
  expect(requestWith("tre").shown).toMatch(/\nuno\n[\s\S]*\ndue\n/);
  await restarted.stop();
});

test("takes only a conversation with the same options, and offers the tools of its client", async () => {
  await begin();
  await say(world.server, "one", { user: "a", tools: tools("first") });
  await waitForSpare();
  // The prewarmed process has a tool that this client does not have.
  expect((await say(world.server, "uno", { user: "b", tools: tools("second") })).origin).toBe("cold");
  await waitForSpare();
  const more = { tools: tools("second", "third") };
  // Two conversations begin at the same time: one of them gets the process.
  const both = await Promise.all(["c", "d"].map((user) => say(world.server, `due ${user}`, { user, ...more })));
  expect(both.map(({ answer }) => answer)).toEqual(["You said: due c", "You said: due d"]);
  expect(both.map(({ origin }) => origin).toSorted()).toEqual(["cold", "spare"]);
  for (const user of ["c", "d"]) {
    const offered = requestWith(`due ${user}`).body.tools?.filter(({ name }) => name.startsWith("mcp__")) ?? [];
    expect(offered.map(({ name }) => name.split("__").at(-1)).toSorted()).toEqual(["second", "third"]);
  }
});
