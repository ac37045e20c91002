/** After an answer broke off, claude gets a note with the next message, if it has the message before that. */
import { describe, expect, test } from "bun:test";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { at, control } from "../support/control.ts";
import { text } from "../support/mock-anthropic.ts";
import { claudesOf, descendants, waitForExit } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { ask, next, postUntilSent, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const BROKE_OFF = "Your last answer broke off on its way";
const trace = (id: string) => ({ traceparent: `00-${id.repeat(32)}-00f067aa0ba902b7-01` });

/**
 * Kills the server and starts another one on its state folder.
 * @param meanwhile runs after the kill, when claudes may still run
 */
async function killed(world: World, meanwhile = () => {}) {
  const pids = descendants(world.server.pid);
  await world.server.stop("SIGKILL");
  meanwhile();
  await waitForExit(pids);
  const server = await startServer(world.serverEnv);
  return { say: sayTo(server), [Symbol.asyncDispose]: async () => void (await server.stop()) };
}
const sayTo =
  (server: World["server"]) =>
  async (content: string, headers: Record<string, string> = {}, more: object = {}): Promise<string> =>
    (await Array.fromAsync(texts(await server.post(ask(content, more), headers)))).join("");

/** Waits until the conversation's last turn is in this state. */
async function waitForTurn(world: World, state: string): Promise<void> {
  for (;;) {
    const session = await (await control(world, at("user:me"))).json();
    if ((session as { last_turns: { state: string }[] }).last_turns.at(-1)?.state === state) return;
  }
}

describe("when the server was killed", () => {
  const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }];

  test("while claude worked, the note is sent once", async () => {
    await using world = await createWorld({ standIn: true });
    await postUntilSent(world.server, ask("hang"));
    await waitForTurn(world, "running");
    await using after = await killed(world);
    expect(await after.say("two")).toBe(
      `You said: <context>\n${BROKE_OFF}: the person may have received only a part of it, or nothing.\n</context>\n\ntwo`,
    );
    expect(await after.say("three")).toBe("You said: three");
  });

  test("before claude had the message, no note is sent", async () => {
    await using world = await createWorld({ standIn: true, env: { SYNTHESIS_RECEIPT_TIMEOUT_MS: "60000" } });
    await postUntilSent(world.server, ask("deaf once"));
    await waitForTurn(world, "sent");
    await using after = await killed(world);
    expect(await after.say("two")).toBe("You said: two");
  });

  test("while claude waited for tool results, the note is sent with a message and not with the results", async () => {
    for (const [messages, hasNote] of [
      [[{ role: "user", content: "never mind" }], true],
      [[{ role: "tool", tool_call_id: "c", content: "seen" }], false],
    ] as const) {
      await using world = await createWorld({ standIn: true });
      const first = [{ role: "user", content: "call 1" }];
      const answer = await world.server.post(ask("", { tools, messages: first, stream: false }));
      const { message } = ((await answer.json()) as { choices: [{ message: object }] }).choices[0];
      await using after = await killed(world);
      const got = await after.say("", {}, { tools, messages: [...first, message, ...messages] });
      expect(got.includes(BROKE_OFF), got).toBe(hasNote);
    }
  });

  /** A claude can run for a second longer than its server, and complete its transcript. The test writes those rows. */
  async function answeredUnheard(world: World) {
    world.server.post(ask("hang"), trace("a")).catch(() => "the server is killed");
    await world.server.logged(/message sent/);
    await waitForTurn(world, "running");
    const rows = [
      {
        type: "assistant",
        message: {
          id: "m",
          content: [{ type: "text", text: "all done" }],
          usage: { input_tokens: 1, output_tokens: 1 },
        },
      },
      { type: "system", subtype: "turn_duration" },
    ];
    return killed(world, () => {
      const [file = ""] = new Bun.Glob(".claude/projects/*/*.jsonl").scanSync({ cwd: world.claude.home, dot: true });
      appendFileSync(join(world.claude.home, file), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    });
  }

  test("and claude completed the answer, the note is sent with another message", async () => {
    await using world = await createWorld({ standIn: true });
    await using after = await answeredUnheard(world);
    expect(await after.say("two")).toContain(BROKE_OFF);
    expect(await after.say("three")).toBe("You said: three");
  });

  test("and claude completed the answer, a retry gets the answer and no note is sent", async () => {
    await using world = await createWorld({ standIn: true });
    await using after = await answeredUnheard(world);
    expect(await after.say("hang", trace("a"))).toBe("all done");
    expect(await after.say("two", trace("b"))).toBe("You said: two");
  });
});

describe("when claude was killed", () => {
  /** Waits until claude has written the message into its transcript, some time after the receipt. */
  const recorded = async (world: World, message: string) => {
    const records = new Bun.Glob(".claude/projects/*/*.jsonl");
    const hasMessage = async () => {
      const files = records.scan({ cwd: world.claude.home, dot: true, absolute: true });
      for await (const file of files) {
        const lines = (await Bun.file(file).text()).split("\n");
        // Rows of other types name a message that still waits.
        if (lines.some((line) => line.includes('"type":"user"') && line.includes(`\\n${message}\\n`))) return true;
      }
      return false;
    };
    while (!(await hasMessage())) await Bun.sleep(20);
  };
  const kill = (world: World) => process.kill(claudesOf(world.server.pid)[0] as number, "SIGKILL");

  test("after some text, the note is sent once", async () => {
    await using world = await createWorld();
    const say = sayTo(world.server);
    await say("one");
    world.mock.on(/\npoem\n/, async function* ({ closed }) {
      yield text("begun\n");
      await closed;
    });
    const poem = texts(await world.server.post(ask("poem")));
    await next(poem);
    await recorded(world, "poem");
    kill(world);
    await expect(next(poem)).rejects.toThrow("claude_exited");
    expect(await say("two")).toContain(BROKE_OFF);
    expect(await say("three")).toBe("You said: three");
  });

  test.each(["after its error", "before its error"])(
    "before it had written the message into its transcript, a retry %s sends the message again",
    async (when) => {
      await using world = await createWorld({ standIn: true });
      const say = sayTo(world.server);
      await say("one");
      // Another model restarts claude, and in the meantime another message can arrive.
      const more = { model: "opus" };
      const first = world.server.post(ask("forget", { stream: false, ...more }));
      await world.server.logged(/claude exited/);
      if (when === "after its error") await first;
      const messages = ["forget", "two"].map((content) => ({ role: "user", content }));
      expect(await say("", {}, { ...more, messages })).toBe("You said: forget\n\ntwo");
      expect((await first).status).toBe(502);
    },
  );
});
