/** Hooks of the user's own, from claude's settings, that decide about a turn. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

/** Shell commands that are given as the users' hooks; each runs what its file says, while it is there. */
function installHooks(home: string, folder: string, events: readonly string[]): void {
  const hooks = events.map((event) => {
    const command = join(home, `${event}.sh`);
    const body = `#!/bin/sh\ncat > /dev/null\n[ -e '${home}/${event}.now' ] && . '${home}/${event}.now'\nexit 0\n`;
    writeFileSync(command, body, { mode: 0o755 });
    return [event, [{ hooks: [{ type: "command", command }] }]];
  });
  mkdirSync(join(folder, ".claude"), { recursive: true });
  writeFileSync(join(folder, ".claude/settings.json"), JSON.stringify({ hooks: Object.fromEntries(hooks) }));
}

/** What the hook of an event does from now on. */
const does = ({ claude }: World, event: string, script: string) => {
  rmSync(join(claude.home, `${event}.sh.count`), { force: true });
  writeFileSync(join(claude.home, `${event}.now`), script);
};
const doesNothing = ({ claude }: World, event: string) => rmSync(join(claude.home, `${event}.now`), { force: true });

async function say({ server }: World, content: string, user = "me") {
  const response = await server.post(ask(content, { user }));
  return (await Array.fromAsync(texts(response))).join("");
}

/** Blocks `times` times, with stderr. */
const blocks = (times: number) =>
  `n=$(cat "$0.count" 2>/dev/null || echo 0)
if [ "$n" -lt ${times} ]; then echo $((n + 1)) > "$0.count"; sleep 0.2; echo "say more ($n)" >&2; exit 2; fi`;
const json = (value: object) => `echo '${JSON.stringify(value)}'`;

for (const where of ["home", "workspace"] as const) {
  describe(`a Stop hook in the ${where}`, () => {
    let world: World;
    beforeAll(async () => {
      world = await createWorld({
        prepare: ({ home, workspace }) => installHooks(home, where === "home" ? home : workspace, ["Stop"]),
      });
    });
    afterAll(() => world[Symbol.asyncDispose]());

    /** claude answers with these, one after the other. */
    function answers(match: RegExp, ...said: string[]) {
      let call = 0;
      world.mock.on(match, function* () {
        yield text(said[call++] ?? "too much");
      });
    }

    test.each([1, 2])("that blocks %d times: claude's continuation belongs to the answer", async (times) => {
      does(world, "Stop", blocks(times));
      answers(new RegExp(`blocked ${times} times`), "One\ntwo", "Three.\n", "Four");
      const expected = ["One\ntwo", "Three.", "Four"].slice(0, times + 1).join("\n\n");
      expect((await say(world, `blocked ${times} times`)).trimEnd()).toBe(expected);
      expect(await say(world, "and then")).toBe("You said: and then");
    });

    test("that blocks as JSON, and claude uses a tool before it goes on", async () => {
      does(
        world,
        "Stop",
        `[ -e "$0.done" ] || { touch "$0.done"; ${json({ decision: "block", reason: "Look first." })}; }`,
      );
      let call = 0;
      world.mock.on(/blocked by JSON/, function* () {
        call += 1;
        if (call === 2) yield toolUse("Bash", { command: "echo seen", description: "Look" });
        else yield text(call === 1 ? "Before." : "After.");
      });
      expect(await say(world, "blocked by JSON")).toBe("Before.\n\nAfter.");
    });

    test.each([
      ["lets claude stop", "exit 0"],
      ["ends it", json({ continue: false, stopReason: "Enough." })],
      ["fails", "echo broken >&2; exit 1"],
    ])("that %s changes nothing", async (_what, script) => {
      does(world, "Stop", script);
      expect(await say(world, "hello")).toBe("You said: hello");
      expect(await say(world, "again")).toBe("You said: again");
    });
  });
}

test("a Stop hook that blocks is heard in tool mode, too", async () => {
  await using world = await createWorld({
    env: { SYNTHESIS_REPLY: "tool" },
    prepare: ({ home }) => installHooks(home, home, ["Stop"]),
  });
  does(world, "Stop", blocks(1));
  let call = 0;
  world.mock.on(/blocked/, function* () {
    call += 1;
    if (call === 1) yield text("not sent");
    else if (call === 2) yield toolUse("mcp__plugin_synthesis_chat__reply", { content: "sent after all" });
    else yield text("done");
  });
  expect(await say(world, "blocked")).toBe("sent after all");
  expect(await say(world, "next")).toBe("You said: next");
});

for (const mode of ["live", "tool"]) {
  describe(`a UserPromptSubmit hook, in ${mode} mode`, () => {
    let world: World;
    beforeAll(async () => {
      world = await createWorld({
        env: { SYNTHESIS_REPLY: mode },
        prepare: ({ home }) => installHooks(home, home, ["UserPromptSubmit"]),
      });
    });
    afterAll(() => world[Symbol.asyncDispose]());

    const refusals: [what: string, script: string, reason: string, isKept: boolean][] = [
      ["exits with 2", 'echo "Not today: reason one" >&2; exit 2', "Not today: reason one", false],
      ["blocks as JSON", json({ decision: "block", reason: "Not today: reason two" }), "Not today: reason two", false],
      ["ends claude", json({ continue: false, stopReason: "Not today: three" }), "Not today: three", true],
      ["gives no reason", "exit 2", "", false],
    ];
    test.each(refusals)(
      "that %s: its reason is the answer, and a retry is sent",
      async (what, script, reason, isKept) => {
        does(world, "UserPromptSubmit", script);
        const answer = await say(world, `refused: ${what}`, what);
        if (reason === "") expect(answer).not.toBe("");
        else expect(answer).toBe(reason);
        expect(answer).not.toContain("(no answer)");
        doesNothing(world, "UserPromptSubmit");
        expect(await say(world, `refused: ${what}`, what)).toBe(`You said: refused: ${what}`);
        const { shown } = await world.mock.request(new RegExp(`\nrefused: ${what}\n`));
        expect(shown.split(`\nrefused: ${what}\n`)).toHaveLength(isKept ? 3 : 2);
      },
    );

    test("that fails does not keep claude from answering", async () => {
      does(world, "UserPromptSubmit", "echo broken >&2; exit 1");
      expect(await say(world, "hello", "broken")).toBe("You said: hello");
      doesNothing(world, "UserPromptSubmit");
    });
  });
}
