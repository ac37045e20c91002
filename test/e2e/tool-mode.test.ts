/** Tool mode: the answer is what claude sends with the reply tool, with hooks and without. */
import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ModelRequest, text, thinking, toolUse } from "../support/mock-anthropic.ts";
import { REAL_CLAUDE } from "../support/server.ts";
import { ask, next, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const REPLY = "mcp__plugin_synthesis_chat__reply";
let world: World;
afterEach(() => world[Symbol.asyncDispose]());

/** A claude whose administrator allows no hooks but his own: our settings are undone behind our back. */
function withoutHooks(base: string): string {
  const path = join(base, "claude-without-hooks");
  const script = `#!/bin/sh
for argument; do case "$argument" in */settings.json) sed -i.bak 's/"disableAllHooks":false/"disableAllHooks":true/' "$argument";; esac; done
exec '${REAL_CLAUDE}' "$@"
`;
  writeFileSync(path, script, { mode: 0o755 });
  return path;
}

describe.each([{ hooks: true }, { hooks: false }])("with hooks: $hooks", ({ hooks }) => {
  const begin = async () => {
    world = await createWorld({
      prepare: ({ base, env }) => {
        if (!hooks) env.SYNTHESIS_CLAUDE_BIN = withoutHooks(base);
      },
      // Without hooks the receipt is found in claude's record.
      env: { SYNTHESIS_REPLY: "tool", SYNTHESIS_RECEIPT_TIMEOUT_MS: hooks ? "10000" : "1500" },
    });
  };
  const whole = async (content: string) => {
    const response = await world.server.post(ask(content, { stream: false }));
    const body = (await response.json()) as { choices: { message: { content: string } }[] };
    return [body.choices[0]?.message.content, response.headers.get("x-synthesis-process")];
  };

  test("a final reply is the answer, at once; what else claude writes is not", async () => {
    await begin();
    const gate = Promise.withResolvers<void>();
    world.mock.on(/question/, async function* ({ toolResults }: ModelRequest) {
      if (toolResults.length === 0) {
        yield thinking("hm");
        yield text("not for the person");
        yield toolUse(REPLY, { content: "the answer" });
      } else {
        await gate.promise;
        yield text("not for the person either");
      }
    });
    // The answer is there while claude still works.
    expect(await whole("question one")).toEqual(["the answer", "cold"]);
    const second = whole("question two");
    gate.resolve();
    expect(await second).toEqual(["the answer", "warm"]);
  });

  test("replies on the way come at once, in paragraphs of their own", async () => {
    await begin();
    const gate = Promise.withResolvers<void>();
    world.mock.on(/question/, async function* ({ toolResults, shown }: ModelRequest) {
      if (toolResults.length === 0) yield toolUse(REPLY, { content: "working on it", final: false });
      else if (!shown.includes("the last word")) {
        await gate.promise;
        yield toolUse(REPLY, { content: "the last word" });
      } else yield text("done");
    });
    const answer = texts(await world.server.post(ask("question")));
    expect(await next(answer)).toBe("working on it");
    gate.resolve();
    expect(await Array.fromAsync(answer)).toEqual(["\n\nthe last word"]);
  });

  test("without any reply claude's last message is the answer", async () => {
    await begin();
    world.mock.on(/question/, function* ({ toolResults }: ModelRequest) {
      if (toolResults.length === 0) {
        yield text("first");
        yield toolUse("Bash", { command: "true", description: "Nothing" });
      } else yield text("I forgot the tool.");
    });
    expect(await whole("question")).toEqual(["I forgot the tool.", "cold"]);
    world.mock.on(/other/, function* ({ toolResults }: ModelRequest) {
      if (toolResults.length === 0) yield toolUse(REPLY, { content: "remembered" });
    });
    expect((await whole("other"))[0]).toBe("remembered");
  });
});

test("claude is told how to answer, and has the tool in this mode only", async () => {
  world = await createWorld({ env: { SYNTHESIS_REPLY: "tool" } });
  await (await world.server.post(ask("hello", { stream: false }))).text();
  const request = world.mock.requests.at(-1);
  expect(request?.shown).toContain("sees only what you send with the reply tool");
  expect(request?.body.tools?.map(({ name }) => name)).toContain(REPLY);
});

test("in live mode it is not offered", async () => {
  world = await createWorld();
  await (await world.server.post(ask("hello", { stream: false }))).text();
  expect(world.mock.requests.at(-1)?.body.tools?.map(({ name }) => name)).not.toContain(REPLY);
});
