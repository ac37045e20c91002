import { describe, expect, test } from "bun:test";
import type { ClaudeEvent } from "../../../src/claude/agent-process.ts";
import { parseLine, type StreamLine } from "../../../src/claude/stream/protocol.ts";
import { StreamTranslator } from "../../../src/claude/stream/translator.ts";
import { modelCalls } from "../../../src/claude/transcript/turn-record.ts";
import { textsOfTurn } from "../../../src/claude/transcript/turn-texts.ts";

const usage = { input_tokens: 100, cache_read_input_tokens: 40, cache_creation_input_tokens: 2, output_tokens: 1 };
const started = (id = "m1") => ({ type: "command_lifecycle", command_uuid: id, state: "started" });
const event = (event: object, message = "msg1") => ({ type: "stream_event", api_message_id: message, event });
const blockStart = (index: number, type = "text") =>
  event({ type: "content_block_start", index, content_block: { type } });
const delta = (text: string, index = 0) =>
  event({ type: "content_block_delta", index, delta: { type: "text_delta", text } });
const blockStop = (index: number) => event({ type: "content_block_stop", index });
const assistant = (content: object[], more: object = {}, id = "msg1") => ({
  type: "assistant",
  message: { id, content, usage },
  ...more,
});
const result = (more: object = {}) => ({
  type: "result",
  is_error: false,
  user_message_uuids: ["m1"],
  terminal_reason: "completed",
  ...more,
});

/** Feeds lines as Claude Code writes them, and returns the events without the fields that every hook has. */
function translate(lines: object[]) {
  let now = 0;
  const translator = new StreamTranslator("session", () => (now += 5));
  const events = lines.flatMap((line) => translator.translate(parseLine(JSON.stringify(line)) as StreamLine));
  return { translator, events: events.map(brief) };
}

function brief(event: ClaudeEvent): unknown {
  if (event.type !== "hook") return event.type === "api" ? `api ${event.activity.what}` : event.type;
  const {
    session_id: _session,
    transcript_path: _path,
    hook_event_name: name,
    prompt_id: prompt,
    ...rest
  } = event.hook;
  return [name, prompt, rest];
}

describe("a turn", () => {
  test("is received when Claude Code starts with its message, and ends with its result", () => {
    const { events, translator } = translate([started(), result({ result: "Hello." })]);
    expect(events).toEqual([
      "status",
      ["UserPromptSubmit", "m1", { prompt: '<channel message_id="m1">' }],
      ["Stop", "m1", { last_assistant_message: "Hello." }],
      "status",
    ]);
    expect(translator.current).toBeNull();
  });

  test.each(["completed", "cancelled"])("without a result of its own ends when it is %s", (state) => {
    const ended = { type: "command_lifecycle", command_uuid: "m1", state };
    const { events, translator } = translate([started(), result({ user_message_uuids: [] }), ended]);
    expect(events.slice(2)).toEqual(["status"]);
    expect(translator.current).toBeNull();
  });

  test("is not ended by the result of another", () => {
    const { translator } = translate([started(), result({ user_message_uuids: ["other"] })]);
    expect(translator.current).toBe("m1");
  });

  test("fails with the kind of failure that Claude Code has named", () => {
    const failed = assistant([{ type: "text", text: "API Error" }], { error: "rate_limit" });
    const { events } = translate([started(), failed, result({ is_error: true, result: "slow down" })]);
    expect(events.slice(2)).toEqual([
      ["StopFailure", "m1", { error: "rate_limit", last_assistant_message: "slow down" }],
      "status",
    ]);
  });

  test("does not fail with the kind of failure of a subagent", () => {
    const failed = assistant([], { error: "rate_limit", parent_tool_use_id: "t0" });
    const { events } = translate([started(), failed, result({ is_error: true, result: "stopped" })]);
    expect(events[2]).toEqual(["StopFailure", "m1", { error: "unknown", last_assistant_message: "stopped" }]);
  });

  test.each([
    ["that was interrupted", [result({ is_error: true, terminal_reason: "aborted_streaming" })]],
    [
      "that a hook has refused",
      [
        { type: "system", subtype: "informational", prompt_submit_outcome: { kind: "blocked_by_hook" } },
        result({ result: "blocked" }),
      ],
    ],
  ])("%s only becomes idle: its transcript has the rest", (_what, lines) => {
    expect(translate([started(), ...lines]).events.slice(2)).toEqual(["status"]);
  });
});

describe("text", () => {
  const shown = (lines: object[]) =>
    translate([started(), ...lines])
      .events.slice(2)
      .filter((event) => Array.isArray(event) && event[0] === "MessageDisplay")
      .map((event) => (event as [string, string, object])[2]);

  test("is shown delta by delta, each block of a message by itself", () => {
    expect(shown([blockStart(0), delta("Hel"), delta("lo"), blockStop(0), blockStart(2), delta("!", 2)])).toEqual([
      { message_id: "msg1 0", index: 0, final: false, delta: "Hel" },
      { message_id: "msg1 0", index: 1, final: false, delta: "lo" },
      { message_id: "msg1 0", index: 2, final: true, delta: "" },
      { message_id: "msg1 2", index: 0, final: false, delta: "!" },
    ]);
  });

  test("is not shown again when its message is complete", () => {
    const complete = assistant([{ type: "text", text: "Hello" }]);
    const lines = [event({ type: "message_start" }), blockStart(0), delta("Hello"), complete, blockStop(0)];
    expect(shown(lines).map((hook) => (hook as { delta: string }).delta)).toEqual(["Hello", ""]);
  });

  describe("whose stream broke off, and that Claude Code repeats without streaming,", () => {
    const broken = [
      event({ type: "message_start" }),
      blockStart(0),
      delta("It begins\n"),
      blockStop(0),
      { ...event({ type: "message_stop" }), abandoned_blocks: {} },
    ];
    const repeated = (...blocks: string[]) => blocks.map((text) => assistant([{ type: "text", text }], {}, "msg2"));
    const rest = (lines: object[]) =>
      shown([...broken, ...lines])
        .slice(2)
        .map((hook) => (hook as { delta: string }).delta);

    test.each([
      ["continues where it was cut", ["It begins\nand ends"], ["and ends"]],
      ["continues where it was cut, in several blocks", ["It beg", "ins\n", "and ends"], ["and ends"]],
      ["adds nothing when nothing was missing", ["It begins\n"], []],
    ])("%s", (_what, blocks, expected) => {
      expect(rest(repeated(...blocks))).toEqual(expected);
    });

    test("is shown whole, with a notice, when it differs", () => {
      expect(rest(repeated("Another", " answer."))).toEqual([
        expect.stringMatching(/^\[synthesis: .*\]\n\nAnother$/),
        " answer.",
      ]);
    });

    test("is shown whole, with a notice, when it is shorter and a tool or another message follows", () => {
      const next = event({ type: "message_start" });
      const use = assistant([{ type: "tool_use", id: "t1", name: "Bash", input: {} }], {}, "msg2");
      for (const after of [next, use]) {
        expect(rest([...repeated("It"), after])).toEqual([expect.stringMatching(/^\[synthesis: .*\]\n\nIt$/)]);
        expect(rest([after])).toEqual([expect.stringMatching(/^\[synthesis: .*\]$/)]);
        expect(rest([...repeated("It begins"), after])).toEqual([]);
      }
    });
  });

  test.each([
    [
      "thinking",
      [
        blockStart(0, "thinking"),
        event({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", text: "Hm" } }),
      ],
    ],
    ["a subagent's", [assistant([{ type: "text", text: "Sub." }], { parent_tool_use_id: "t1" })]],
  ])("%s is not shown", (_what, lines) => {
    expect(shown(lines)).toEqual([]);
  });
});

describe("a tool use", () => {
  const use = { type: "tool_use", id: "t1", name: "Bash", input: { command: "ls" } };
  const toolResult = (more: object = {}) => ({
    type: "user",
    message: { content: [{ type: "tool_result", tool_use_id: "t1", ...more }] },
  });

  test("is reported before and after it runs, with its length", () => {
    expect(translate([started(), assistant([use]), toolResult()]).events.slice(2)).toEqual([
      ["PreToolUse", "m1", { tool_name: "Bash", tool_use_id: "t1", tool_input: { command: "ls" } }],
      ["PostToolUse", "m1", { tool_name: "Bash", tool_use_id: "t1", duration_ms: 5 }],
    ]);
  });

  test("that fails is reported as failed", () => {
    const { events } = translate([started(), assistant([use]), toolResult({ is_error: true })]);
    expect((events.at(-1) as unknown[])[0]).toBe("PostToolUseFailure");
  });

  test("of a subagent names it", () => {
    const { events } = translate([started(), assistant([use], { parent_tool_use_id: "t0" })]);
    expect(events.at(-1)).toEqual(["PreToolUse", "m1", expect.objectContaining({ agent_id: "t0" })]);
  });
});

test("reports how model requests go", () => {
  const { events } = translate([
    started(),
    { type: "system", subtype: "status", status: "requesting" },
    { type: "system", subtype: "api_retry", error_status: 529, error: "overloaded" },
    event({ type: "message_start" }),
  ]);
  expect(events.slice(2)).toEqual(["api requested", "api failed", "api answered"]);
});

test("keeps the rows of a turn as the transcript will have them, with the final token figures", () => {
  const { translator } = translate([
    started(),
    assistant([{ type: "text", text: "Hello " }]),
    assistant([{ type: "text", text: "you." }]),
    event({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 7 } }),
    result(),
  ]);
  const rows = translator.rows("m1") ?? [];
  expect(textsOfTurn(rows)).toEqual(["Hello you."]);
  expect(modelCalls(rows).map(({ usage }) => usage)).toEqual([{ input: 142, cached: 40, output: 7 }]);
  expect(translator.rows("m0")).toBeNull();
});

test("keeps no tool results, which may have many megabytes", () => {
  const content = [{ type: "tool_result", tool_use_id: "t1", content: "x".repeat(100_000) }];
  const { translator } = translate([started(), { type: "user", message: { content } }]);
  expect(JSON.stringify(translator.rows("m1")).length).toBeLessThan(1_000);
});
