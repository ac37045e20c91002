/** On the real claude in tool mode: the answer is what claude sends with the reply tool, with and without hooks. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ModelRequest, text, thinking, toolUse } from "../support/mock-anthropic.ts";
import { REAL_CLAUDE } from "../support/server.ts";
import { ask, next, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const REPLY = "mcp__plugin_synthesis_chat__reply";

/** A claude that allows only managed hooks: it changes the settings with which the server starts it. */
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
  let world: World;
  beforeAll(async () => {
    world = await createWorld({
      prepare: ({ base, env }) => {
        if (!hooks) env.SYNTHESIS_CLAUDE_BIN = withoutHooks(base);
      },
      // Without hooks the receipt is found in claude's transcript after this timeout.
      env: { SYNTHESIS_REPLY: "tool", SYNTHESIS_RECEIPT_TIMEOUT_MS: hooks ? "10000" : "1500" },
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());
  const unstreamed = async (content: string) => {
    const response = await world.server.post(ask(content, { stream: false }));
    const body = (await response.json()) as { choices: { message: { content: string } }[] };
    return [body.choices[0]?.message.content, response.headers.get("x-synthesis-process")];
  };

  test("the final reply is the answer while claude is still working, and other text is left out", async () => {
    const gate = Promise.withResolvers<void>();
    world.mock.on(/a question/, async function* ({ toolResults }: ModelRequest) {
      if (toolResults.length === 0) {
        yield thinking("hm");
        yield text("not for the person");
        yield toolUse(REPLY, { content: "the answer" });
      } else {
        await gate.promise;
        yield text("not for the person either");
      }
    });
    expect(await unstreamed("a question")).toEqual(["the answer", "cold"]);
    const { body, shown } = await world.mock.request(/a question/);
    expect(shown).toContain("sees only what you send with the reply tool");
    expect(body.tools?.map(({ name }) => name)).toContain(REPLY);
    const second = unstreamed("a question for the second time");
    gate.resolve();
    expect(await second).toEqual(["the answer", "warm"]);
  });

  test("replies that are not final arrive at once, each as a paragraph", async () => {
    const gate = Promise.withResolvers<void>();
    let calls = 0;
    world.mock.on(/long work/, async function* () {
      calls += 1;
      if (calls === 1) yield toolUse(REPLY, { content: "working on it", final: false });
      else if (calls === 2) {
        await gate.promise;
        yield toolUse(REPLY, { content: "the last word" });
      } else yield text("done");
    });
    const answer = texts(await world.server.post(ask("long work")));
    expect(await next(answer)).toBe("working on it");
    gate.resolve();
    expect(await Array.fromAsync(answer)).toEqual(["\n\nthe last word"]);
  });

  test("claude's last message is the answer when it sends no reply", async () => {
    world.mock.on(/no reply/, function* ({ toolResults }: ModelRequest) {
      if (toolResults.length === 0) {
        yield text("first");
        yield toolUse("Bash", { command: "true", description: "Nothing" });
      } else yield text("I forgot the tool.");
    });
    expect(await unstreamed("no reply")).toEqual(["I forgot the tool.", "warm"]);
    world.mock.on(/with a reply/, function* ({ toolResults }: ModelRequest) {
      yield toolResults.length === 0 ? toolUse(REPLY, { content: "remembered" }) : text("done");
    });
    expect((await unstreamed("with a reply"))[0]).toBe("remembered");
  });
});
