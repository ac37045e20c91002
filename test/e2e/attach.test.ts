/** On the real claude: `synthesis attach` shows its screen and changes nothing. */
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

test("shows a running turn, sends no key to claude, and exits on Ctrl-]", async () => {
  const say = async (content: string) => {
    const response = await world.server.post(ask(content, { user: "me" }));
    return [(await Array.fromAsync(texts(response))).join(""), response.headers.get("x-synthesis-process")];
  };
  await say("before attach");
  const terminal = openTerminal(world, ["attach", "user:me"]);
  // The whole screen, with what was drawn before the command started.
  const first = await terminal.shows(/You said: before attach[\s\S]*Ctrl-\]/);
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
  // Escape and Ctrl-C would end the turn if they reached claude.
  terminal.type("typed into the void\r\x1b\x03");
  gate.resolve();
  expect((await Array.fromAsync(answer)).join("")).toContain("The second line");
  expect(await terminal.shows(/The second line/)).not.toContain("typed into the void");

  terminal.type("\x1d");
  expect(await terminal.shows(/icanon/)).toContain("code 0");
  await terminal.exited;
  expect(await say("after")).toEqual(["You said: after", "warm"]);
  expect(world.mock.requests.some(({ shown }) => shown.includes("typed into the void"))).toBe(false);
});
