/**
 * Users send messages to the real OpenClaw, and the real claude answers: each scenario with and without our plugin in
 * OpenClaw.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { apiError, text, toolUse } from "../support/mock-anthropic.ts";
import type { RecordedRequest } from "../support/recorder.ts";
import { createRig, type Rig } from "./rig.ts";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** How often the model is shown a text. */
const times = (shown: string, what: string) => shown.split(what).length - 1;
/** The session key that synthesis found in a request. */
const conversation = async ({ answered }: RecordedRequest) => (await answered).headers.get("x-synthesis-session");

describe.each([
  ["with our plugin", true],
  ["without our plugin", false],
])("%s", (name, plugin) => {
  let rig: Rig;
  const scenario = (what: string) => rig.recorder.scenario(`${plugin ? "plugin" : "bare"}-${what}`);
  const send = (sessionKey: string, message: string) =>
    rig.openclaw.call<{ runId: string }>("chat.send", { sessionKey, message, idempotencyKey: crypto.randomUUID() });
  beforeAll(async () => {
    rig = await createRig(name, { plugin });
  }, 300_000);
  afterAll(() => rig[Symbol.asyncDispose](), 60_000);

  test("the second turn of a session shows the first one once", async () => {
    scenario("two-turns");
    expect(await rig.openclaw.say("first words", "agent:main:main")).toContain("first words");
    expect(await rig.openclaw.say("second words", "agent:main:main")).toContain("second words");
    const { shown } = await rig.mock.request(/second words/);
    expect([times(shown, "first words\n"), times(shown, "second words")]).toEqual([2, 1]);
  });

  test("another agent has its own claude in its own workspace", async () => {
    scenario("other-agent");
    expect(await rig.openclaw.say("words for ops", "agent:ops:main")).toContain("words for ops");
    const { shown } = await rig.mock.request(/words for ops/);
    expect(shown).not.toContain("first words");
    expect(shown).toContain(rig.ops);
  });

  test("another session key is another conversation", async () => {
    scenario("other-key");
    await rig.openclaw.say("words elsewhere", "agent:main:elsewhere");
    const { shown } = await rig.mock.request(/words elsewhere/);
    expect(shown).not.toContain("first words");
    expect(await conversation(await rig.recorder.request(/words elsewhere/))).toBe("agent:main:elsewhere");
  });

  test("our plugin adds its headers to a request", async () => {
    scenario("headers");
    await rig.openclaw.say("words with headers", "agent:main:headers");
    const { headers } = await rig.recorder.request(/words with headers/);
    const added = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("x-openclaw-")));
    const ours = {
      "x-openclaw-session-key": "agent:main:headers",
      "x-openclaw-agent-id": "main",
      "x-openclaw-workspace": rig.main,
      "x-openclaw-channel": "webchat",
    };
    expect(added).toEqual(plugin ? expect.objectContaining(ours) : {});
  });

  test("an image sent to the gateway's chat endpoint reaches claude", async () => {
    scenario("image");
    const response = await rig.openclaw.chat({
      user: "painter",
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "look at this" },
            { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } },
          ],
        },
      ],
    });
    expect(response.status).toBe(200);
    expect(await conversation(await rig.recorder.request(/look at this/))).toBe("agent:main:openai-user:painter");
    expect((await rig.mock.request(/look at this/)).asked).toMatch(/<channel [^>]*image_1="[^"]+\.png"/);
  });

  test("an abort interrupts claude, and the next message is answered", async () => {
    scenario("abort");
    const release = Promise.withResolvers<void>();
    rig.mock.on(/long story/, async function* () {
      yield text("Once upon a time\n");
      await release.promise;
    });
    rig.mock.on(/short one/, function* () {
      yield text("The end.\n");
    });
    await send("agent:main:story", "a long story");
    const story = await rig.mock.request(/long story/);
    await (await rig.recorder.request(/long story/)).firstText;
    await rig.openclaw.call("chat.abort", { sessionKey: "agent:main:story" });
    expect(await story.closed).toBe("aborted");
    release.resolve();
    expect(await (await rig.recorder.request(/long story/)).closed).toBe("aborted");
    expect(await rig.openclaw.say("a short one", "agent:main:story")).toBe("The end.");
  });

  // OpenClaw sends the aborted message again with the next one, since its history has no answer to it.
  test("a message is shown once after its answer was aborted", async () => {
    scenario("abort-said-once");
    const { shown } = await rig.mock.request(/short one/);
    expect(times(shown, "a long story")).toBe(1);
  });

  test("a message that arrives during a turn is the next turn", async () => {
    scenario("steering");
    const release = Promise.withResolvers<void>();
    rig.mock.on(/slow question/, async function* () {
      yield text("thinking\n");
      await release.promise;
      yield text("the slow answer\n");
    });
    await send("agent:main:busy", "a slow question");
    await rig.mock.request(/slow question/);
    const later = await send("agent:main:busy", "a later question");
    release.resolve();
    await rig.openclaw.call("agent.wait", { runId: later.runId, timeoutMs: 9_000 });
    const { shown } = await rig.mock.request(/later question/);
    expect(times(shown, "a slow question")).toBe(1);
  });

  test("a reset starts a new conversation", async () => {
    scenario("reset");
    await rig.openclaw.say("words before", "agent:main:reset");
    await rig.openclaw.call("sessions.reset", { key: "agent:main:reset" });
    await rig.openclaw.say("words after", "agent:main:reset");
    expect((await rig.mock.request(/words after/)).shown).not.toContain("words before");
  });

  test("the summary of a compaction is a one-shot", async () => {
    scenario("compaction");
    await rig.openclaw.say("words to sum up", "agent:main:long");
    await rig.openclaw.call("sessions.compact", { key: "agent:main:long" });
    const summary = await rig.recorder.request(/context summarization assistant/);
    expect(await conversation(summary)).toBe("stateless");
    await rig.openclaw.say("words after the summary", "agent:main:long");
    expect((await rig.mock.request(/after the summary/)).shown).not.toContain("context summarization");
  });

  test("a title is a one-shot", async () => {
    scenario("title");
    await rig.openclaw.call("sessions.create", { agentId: "main", message: "plan a party for my daughter" });
    expect(await conversation(await rig.recorder.request(/session title/))).toBe("stateless");
    expect((await rig.mock.request(/<channel[\s\S]*plan a party/)).shown).not.toContain("session title");
  });

  test("a heartbeat is a turn of the agent's conversation", async () => {
    scenario("heartbeat");
    await rig.openclaw.call("wake", { text: "the kettle boils", mode: "now" });
    expect(await conversation(await rig.recorder.request(/the kettle boils/))).toBe("agent:main:main");
  });

  test("an error is the answer, and its message is shown once", async () => {
    scenario("error");
    rig.mock.on(/costly question/, function* () {
      yield apiError(500, "api_error", "Something has broken.");
    });
    rig.mock.on(/cheap question/, function* () {
      yield text("that I can answer\n");
    });
    expect(await rig.openclaw.say("a costly question", "agent:main:limit")).toContain("[synthesis: ");
    expect(await rig.openclaw.say("a cheap question", "agent:main:limit")).toBe("that I can answer");
    expect(times((await rig.mock.request(/cheap question/)).shown, "a costly question")).toBe(1);
  });

  test("a conversation continues after a restart of synthesis", async () => {
    scenario("restart-synthesis");
    await rig.openclaw.say("words before the restart", "agent:main:restart");
    await rig.restartSynthesis();
    await rig.openclaw.say("what was that?", "agent:main:restart");
    const { shown } = await rig.mock.request(/what was that/);
    // Once from the user, once in claude's answer.
    expect(times(shown, "words before the restart\n")).toBe(2);
  });

  test("claude can call OpenClaw's tools", async () => {
    scenario("tools");
    let found = "";
    rig.mock.on(/look in your toolbox/, function* ({ toolResults }) {
      if (toolResults.length === 0) yield toolUse("mcp__plugin_synthesis_chat__tool_search", { query: "sessions" });
      else {
        found = toolResults[0]?.content ?? "";
        yield text("I have looked.\n");
      }
    });
    expect(await rig.openclaw.say("look in your toolbox", "agent:main:toolbox")).toBe("I have looked.");
    expect(found).toMatch(/sessions?_/);
    // OpenClaw records the call and its result.
    const sent = await rig.recorder.request(/"role":"tool"/);
    expect(JSON.stringify(sent.body)).toContain("tool_search");
    // Claude is not offered OpenClaw's file tools, since it has its own.
    const offered = (await rig.mock.request(/look in your toolbox/)).body.tools?.map(({ name }) => name) ?? [];
    expect(offered).toContain("mcp__plugin_synthesis_chat__tool_search");
    expect(offered).not.toContain("mcp__plugin_synthesis_chat__exec");
  });

  test("every message is shown once, across a reset, a compaction, a title and restarts", async () => {
    scenario("ten-turns");
    const key = "agent:main:ten";
    /** How often the model is shown each message of the user up to the newest. */
    const shown = async (newest: number) => {
      const request = await rig.mock.request(new RegExp(`<channel[\\s\\S]*number ${newest}\\.\\n</channel>`));
      return Array.from({ length: newest }, (_, at) => times(request.shown, `number ${at + 1}.\n</channel>`));
    };
    const say = (number: number) => rig.openclaw.say(`number ${number}.`, key);

    for (const number of [1, 2, 3]) await say(number);
    expect(await shown(3)).toEqual([1, 1, 1]);
    await rig.openclaw.call("sessions.compact", { key });
    await say(4);
    expect(await shown(4)).toEqual([1, 1, 1, 1]);
    await rig.openclaw.call("sessions.create", { agentId: "main", message: "name this chat" });
    await say(5);
    await rig.restartSynthesis();
    await say(6);
    expect(await shown(6)).toEqual([1, 1, 1, 1, 1, 1]);
    await rig.openclaw.call("sessions.reset", { key });
    for (const number of [7, 8]) await say(number);
    expect(await shown(8)).toEqual([0, 0, 0, 0, 0, 0, 1, 1]);
    await rig.restartSynthesis("SIGKILL");
    for (const number of [9, 10]) await say(number);
    expect(await shown(10)).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
  });

  test("a conversation continues after a restart of the gateway", async () => {
    scenario("restart-gateway");
    await rig.openclaw.startGateway();
    await rig.openclaw.say("and now?", "agent:main:restart");
    const { shown } = await rig.mock.request(/and now/);
    expect(times(shown, "words before the restart\n")).toBe(2);
  });

  test("a conversation continues through auto where channels are refused", async () => {
    scenario("channels-refused");
    // A login of claude.ai, for which auto would run claude in a terminal.
    const login = { CLAUDE_CODE_OAUTH_TOKEN: "sk-ant-oat01-test", ANTHROPIC_API_KEY: "" };
    await rig.restartSynthesis("SIGTERM", { ...login, SYNTHESIS_ENGINE: "auto", DISABLE_TELEMETRY: "1" });
    expect(await rig.openclaw.say("and without channels?", "agent:main:restart")).toContain("and without channels?");
    const { shown } = await rig.mock.request(/without channels/);
    expect(times(shown, "words before the restart\n")).toBe(2);
    await rig.restartSynthesis();
  });

  test("a message is shown once when synthesis is killed during its answer and OpenClaw sends it again", async () => {
    scenario("killed");
    const release = Promise.withResolvers<void>();
    // A claude that was killed before its transcript had the message gets the message again.
    rig.mock.on(/fateful question/, async function* () {
      yield text("Let me see\n");
      await release.promise;
      yield text("the answer\n");
    });
    // Otherwise OpenClaw asks claude to continue with the message that it has.
    rig.mock.on(/Continue the current task/, function* () {
      yield text("the answer\n");
    });
    const answer = rig.openclaw.say("a fateful question", "agent:main:fate");
    await (await rig.recorder.request(/fateful question/)).firstText;
    await rig.restartSynthesis("SIGKILL");
    release.resolve();
    expect(await answer).toContain("the answer");
    const newest = rig.mock.requests.findLast(({ shown }) => shown.includes("a fateful question"));
    expect(times(newest?.shown ?? "", "a fateful question")).toBe(1);
  });
});
