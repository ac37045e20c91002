/** `synthesis attach` to the real claude: what it draws is seen, and looking on changes nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { text } from "../support/mock-anthropic.ts";
import { ask, next, texts } from "../support/sse.ts";
import { openTerminal } from "../support/terminal.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

test("a turn is seen while it runs; what is typed reaches nobody; after Ctrl-] the next turn is warm", async () => {
  const say = async (content: string) => {
    const response = await world.server.post(ask(content, { user: "me" }));
    return [(await Array.fromAsync(texts(response))).join(""), response.headers.get("x-synthesis-process")];
  };
  await say("before anybody looks");
  const terminal = openTerminal(world, ["attach", "user:me"]);
  // All of it, also what was drawn long before.
  const first = await terminal.shows(/You said: before anybody looks[\s\S]*Ctrl-\] leaves/);
  expect(first).toContain(world.claude.workspace);

  const gate = Promise.withResolvers<void>();
  world.mock.on(/poem/, async function* () {
    yield text("The first line\n\n");
    await gate.promise;
    yield text("The second line\n");
  });
  const answer = texts(await world.server.post(ask("a poem", { user: "me" })));
  await next(answer);
  await terminal.shows(/The first line/);
  // An Escape, or one of claude's own keys, would end the turn.
  terminal.type("nobody reads this\r\x1b\x03");
  gate.resolve();
  expect((await Array.fromAsync(answer)).join("")).toContain("The second line");
  expect(await terminal.shows(/The second line/)).not.toContain("nobody reads this");

  terminal.type("\x1d");
  expect(await terminal.shows(/icanon/)).toContain("code 0");
  await terminal.exited;
  expect(await say("after")).toEqual(["You said: after", "warm"]);
  expect(world.mock.requests.some(({ shown }) => shown.includes("nobody reads this"))).toBe(false);
});
