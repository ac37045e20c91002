/** On the real claude: hooks in the user's settings that change how a turn goes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { answerText, ask } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

/** Installs a shell command as the hook of each event. It runs the script that `setHook` has set. */
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

/** Sets the script of an event's hook. */
const setHook = ({ claude }: World, event: string, script: string) => {
  rmSync(join(claude.home, `${event}.sh.count`), { force: true });
  writeFileSync(join(claude.home, `${event}.now`), script);
};
const clearHook = ({ claude }: World, event: string) => rmSync(join(claude.home, `${event}.now`), { force: true });

const say = async ({ server }: World, content: string) => answerText(await server.post(ask(content)));

/** A script that blocks the first `times` times, with its reason on stderr. */
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

    /** The model answers with these texts, one after the other. */
    function answers(match: RegExp, ...said: string[]) {
      let call = 0;
      world.mock.on(match, function* () {
        yield text(said[call++] ?? "too much");
      });
    }

    test.each([1, 2])("that blocks %d time(s) makes claude continue, and the answer has all of it", async (times) => {
      setHook(world, "Stop", blocks(times));
      answers(new RegExp(`blocked ${times} times`), "One\ntwo", "Three.\n", "Four");
      const expected = ["One\ntwo", "Three.", "Four"].slice(0, times + 1).join("\n\n");
      expect((await say(world, `blocked ${times} times`)).trimEnd()).toBe(expected);
      expect(await say(world, "and then")).toBe("You said: and then");
    });

    test("that blocks with JSON makes claude continue with a tool", async () => {
      setHook(
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
      ["stops claude", json({ continue: false, stopReason: "Enough." })],
      ["fails", "echo broken >&2; exit 1"],
    ])("that %s changes nothing", async (_what, script) => {
      setHook(world, "Stop", script);
      expect(await say(world, "hello")).toBe("You said: hello");
      expect(await say(world, "again")).toBe("You said: again");
    });
  });
}

test("a Stop hook that blocks makes claude continue in tool mode, too", async () => {
  await using world = await createWorld({
    env: { SYNTHESIS_REPLY: "tool" },
    prepare: ({ home }) => installHooks(home, home, ["Stop"]),
  });
  setHook(world, "Stop", blocks(1));
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
      [
        "blocks with JSON",
        json({ decision: "block", reason: "Not today: reason two" }),
        "Not today: reason two",
        false,
      ],
      ["stops claude", json({ continue: false, stopReason: "Not today: three" }), "Not today: three", true],
      ["gives no reason", "exit 2", "", false],
    ];
    test.each(refusals)(
      "that refuses a message and %s puts its reason into the answer, and a retry is sent",
      async (what, script, reason, isKept) => {
        setHook(world, "UserPromptSubmit", script);
        const login = async () =>
          ((await (await fetch(`${world.server.url}/health`)).json()) as { login: string }).login;
        const before = await login();
        const answer = await say(world, `refused: ${what}`);
        // The model was not asked, so it is not known whether it would have answered.
        expect(await login()).toBe(before);
        if (reason === "") expect(answer).not.toBe("");
        else expect(answer).toBe(reason);
        expect(answer).not.toContain("(no answer)");
        clearHook(world, "UserPromptSubmit");
        expect(await say(world, `refused: ${what}`)).toBe(`You said: refused: ${what}`);
        const { shown } = await world.mock.request(new RegExp(`\nrefused: ${what}\n`));
        expect(shown.split(`\nrefused: ${what}\n`)).toHaveLength(isKept ? 3 : 2);
      },
    );

    test("that fails changes nothing", async () => {
      setHook(world, "UserPromptSubmit", "echo broken >&2; exit 1");
      expect(await say(world, "hello")).toBe("You said: hello");
      clearHook(world, "UserPromptSubmit");
    });
  });
}
