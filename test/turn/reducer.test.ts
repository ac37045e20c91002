/** The turn's reducer: which hooks belong to the turn, and how the turn ends, in any order of events. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { failureFromText } from "../../src/claude/model-failure.ts";
import { REPEATED } from "../../src/claude/repeated-answer.ts";
import { RequestError } from "../../src/core/errors.ts";
import { reduceTurn } from "../../src/turn/reducer.ts";
import { newTurn, type TurnEvent, type TurnOutput, type TurnState } from "../../src/turn/turn-state.ts";
import type { ReplyMode } from "../../src/wire/frames.ts";
import type { HookBody } from "../../src/wire/hooks.ts";

const common = (prompt: string) => ({ session_id: "s", transcript_path: "/t.jsonl", prompt_id: prompt });
const hook = (body: HookBody, at = 0): TurnEvent => ({ type: "hook", hook: body, at });
const prompt = (id: string, messageId: string): TurnEvent =>
  hook({
    ...common(id),
    hook_event_name: "UserPromptSubmit",
    prompt: `<channel source="plugin:synthesis:chat" message_id="${messageId}" chat_id="c">\nhi\n</channel>`,
  });
const display = (id: string, message: string, index: number, delta: string, final = false, at = 0): TurnEvent =>
  hook({ ...common(id), hook_event_name: "MessageDisplay", message_id: message, index, delta, final }, at);
const stop = (id: string, last?: string): TurnEvent =>
  hook({ ...common(id), hook_event_name: "Stop", ...(last === undefined ? {} : { last_assistant_message: last }) });
const usage = { input: 10, cached: 4, output: 2 };
const transcript = (...texts: string[]): TurnEvent => ({ type: "transcript", texts, usage });

const run = (...events: TurnEvent[]) => runIn("live", ...events);
function runIn(mode: ReplyMode, ...events: TurnEvent[]): [TurnState, TurnOutput[]] {
  let state = newTurn("mine", mode);
  const outputs: TurnOutput[] = [];
  for (const event of events) {
    const [next, more] = reduceTurn(state, event);
    state = next;
    outputs.push(...more);
  }
  return [state, outputs];
}
/** What the client receives: the text, `■` for the end, `✗` and the code for an error. */
function seen(outputs: readonly TurnOutput[]): string {
  return outputs
    .map((output) => {
      if (output.type === "text") return output.text;
      if (output.type === "finish") return "■";
      return output.type === "error" ? `✗${output.error.code}` : "";
    })
    .join("");
}

const disconnected: TurnEvent = { type: "interrupt", error: null };
const timedOut: TurnEvent = { type: "interrupt", error: new RequestError("turn_timeout", "late") };
const idle: TurnEvent = { type: "idle" };
const exited: TurnEvent = { type: "fail", error: new RequestError("claude_exited", "gone") };
/** What happens to Claude: ⎋ for the interrupt, ✓ when it is free for the next turn. */
const done = (outputs: readonly TurnOutput[]): string =>
  outputs.map(({ type }) => (type === "interrupt" ? "⎋" : type === "free" ? "✓" : "")).join("");

const call = (id: string): TurnEvent => ({ type: "call", call: { id, name: "t", arguments: "{}" } });
const collected: TurnEvent = { type: "calls_collected", order: [], isParallel: true };
const collectedOne: TurnEvent = { type: "calls_collected", order: [], isParallel: false };
const results = (given: [id: string, text: string][]) =>
  new Map(given.map(([id, text]) => [id, { content: [{ type: "text" as const, text }], isError: false }]));
const resume = (...given: [id: string, text: string][]): TurnEvent => ({ type: "resume", results: results(given) });
const abandon = (...given: [id: string, text: string][]): TurnEvent => ({
  type: "abandon",
  results: results(given),
  why: "why",
});
/** All outputs in order: the text, `(calls)`, `call=result` or `call✗`, ⎋, and the end. */
function story(outputs: readonly TurnOutput[]): string {
  return outputs
    .map((output) => {
      if (output.type === "calls") return `(${output.calls.map(({ id }) => id).join()})`;
      if (output.type === "interrupt") return "⎋";
      if (output.type !== "result") return seen([output]);
      const [first] = output.result.content;
      return output.result.isError ? `${output.id}✗` : `${output.id}=${first?.type === "text" ? first.text : ""}`;
    })
    .join("");
}

describe("a turn that is interrupted", () => {
  const cases: [what: string, events: TurnEvent[], seen: string, done: string, phase: TurnState["phase"]][] = [
    [
      "while it runs interrupts Claude once, and frees Claude when it is idle",
      [prompt("p", "mine"), disconnected, idle],
      "",
      "⎋✓",
      "interrupted",
    ],
    [
      "before its receipt interrupts Claude after the receipt",
      [disconnected, prompt("p", "mine"), idle],
      "",
      "⎋✓",
      "interrupted",
    ],
    ["before its receipt does not end while Claude may still receive it", [disconnected, idle], "", "", "interrupting"],
    ["ends with its process", [prompt("p", "mine"), disconnected, exited], "", "⎋✓", "interrupted"],
    [
      "sends no more text",
      [prompt("p", "mine"), disconnected, display("p", "a", 0, "hi", true), idle],
      "",
      "⎋✓",
      "interrupted",
    ],
    ["is done when Stop arrives first", [prompt("p", "mine"), disconnected, stop("p", "hi")], "", "⎋✓", "done"],
    [
      "by a deadline sends the error at once",
      [prompt("p", "mine"), timedOut, idle],
      "✗turn_timeout",
      "⎋✓",
      "interrupted",
    ],
    [
      "twice interrupts Claude once",
      [prompt("p", "mine"), timedOut, disconnected, idle],
      "✗turn_timeout",
      "⎋✓",
      "interrupted",
    ],
    [
      "after its end is not interrupted",
      [prompt("p", "mine"), display("p", "a", 0, "hi", true), stop("p", "hi"), disconnected],
      "hi■",
      "✓",
      "done",
    ],
    [
      "while it settles is not interrupted",
      [prompt("p", "mine"), stop("p", "hi"), disconnected, transcript("hi")],
      "hi■",
      "✓",
      "done",
    ],
    [
      "interrupts Claude when the transcript shows its receipt",
      [disconnected, { type: "receipt", promptId: "p" }, stop("p")],
      "",
      "⎋✓",
      "done",
    ],
  ];
  test.each(cases)("%s", (_what, events, expectedSeen, expectedDone, phase) => {
    const [state, outputs] = run(...events);
    expect([seen(outputs), done(outputs), state.phase]).toEqual([expectedSeen, expectedDone, phase]);
  });
});

describe("a turn", () => {
  const cases: [what: string, events: TurnEvent[], seen: string][] = [
    ["streams its text and ends", [prompt("p", "mine"), display("p", "a", 0, "hi", true), stop("p", "hi")], "hi■"],
    [
      "waits for a delta that arrives after Stop",
      [prompt("p", "mine"), stop("p", "hi"), display("p", "a", 0, "hi", true)],
      "hi■",
    ],
    [
      "completes its text from the transcript",
      [prompt("p", "mine"), display("p", "a", 0, "h"), stop("p", "hi"), transcript("hi")],
      "hi■",
    ],
    [
      "ignores a delta that arrives after the transcript",
      [prompt("p", "mine"), stop("p", "hi"), transcript("hi"), display("p", "a", 0, "hi", true)],
      "hi■",
    ],
    [
      "ends without a transcript",
      [prompt("p", "mine"), stop("p", "hi"), { type: "transcript", texts: null, usage: null }],
      "hi■",
    ],
    ["sends a placeholder when Claude wrote nothing", [prompt("p", "mine"), stop("p")], "(no answer)■"],
    [
      "accepts hooks that overtook the receipt",
      [display("p", "a", 0, "hi", true), prompt("p", "mine"), stop("p", "hi")],
      "hi■",
    ],
    [
      "accepts all hooks of a slow turn whose receipt was lost",
      [
        display("p", "a", 0, "one", true, 0),
        display("p", "b", 0, "two", true, 9_000),
        { type: "receipt", promptId: "p" },
        { type: "join", isContinuation: false },
        stop("p", "two"),
      ],
      "one\n\ntwo■",
    ],
    [
      "drops hooks whose receipt does not arrive within a minute",
      [
        display("p", "a", 0, "old", true, 0),
        display("p", "b", 0, "hi", true, 60_000),
        prompt("p", "mine"),
        stop("p", "hi"),
      ],
      "hi■",
    ],
    [
      "ignores hooks of other prompts",
      [
        prompt("q", "other"),
        display("q", "x", 0, "external", true),
        prompt("p", "mine"),
        display("q", "x", 1, "external", true),
        stop("q", "external"),
        display("p", "a", 0, "hi", true),
        stop("p", "hi"),
      ],
      "hi■",
    ],
    [
      "sends the error of a failed model request after its text",
      [
        prompt("p", "mine"),
        display("p", "a", 0, "half"),
        hook({ ...common("p"), hook_event_name: "StopFailure", error: "rate_limit" }),
        { type: "failure", record: null, now: 0 },
        display("p", "a", 1, "late", true),
        stop("p", "late"),
      ],
      "half✗rate_limited",
    ],
    [
      "fails when its process exits",
      [prompt("p", "mine"), { type: "fail", error: new RequestError("claude_exited", "gone") }, stop("p", "hi")],
      "✗claude_exited",
    ],
    [
      "sends a note between the messages",
      [prompt("p", "mine"), { type: "note", text: "[a note]" }, display("p", "a", 0, "no", true), stop("p", "no")],
      "[a note]\n\nno■",
    ],
  ];
  test.each(cases)("%s", (_what, events, expected) => {
    expect(seen(run(...events)[1])).toBe(expected);
  });

  test("sends the token usage after its end", () => {
    const [, outputs] = run(prompt("p", "mine"), display("p", "a", 0, "hi", true), stop("p", "hi"), transcript("hi"));
    expect(outputs.map(({ type }) => type)).toEqual(["received", "text", "free", "finish", "read_transcript", "usage"]);
  });

  test("waits for the transcript when a stream has broken off, because hooks do not show the repetition", () => {
    const tool = hook({ ...common("p"), hook_event_name: "PostToolUse", tool_name: "Read", tool_use_id: "t" });
    const texts = [display("p", "a", 0, "hi", true), tool, display("p", "b", 0, "ho", true)];
    const events = [prompt("p", "mine"), ...texts];
    const end = [stop("p", "ho"), transcript("hu", "ho")];
    expect(seen(run(...events, ...end)[1])).toBe("hi\n\nho■");
    expect(seen(run(...events, { type: "broken_off" }, ...end)[1])).toBe(`hi\n\nho\n\n${REPEATED}hu\n\nho■`);
    const same = run(...events, { type: "broken_off" }, stop("p", "ho"), transcript("hi", "ho"));
    expect(seen(same[1])).toBe("hi\n\nho■");
  });

  test("says that the transcript differs from the text sent, and sends what the transcript has", () => {
    const [, outputs] = run(prompt("p", "mine"), display("p", "a", 0, "hi"), stop("p", "ho"), transcript("ho"));
    expect(outputs.map(({ type }) => type)).toContain("diverged");
    expect(seen(outputs)).toBe(`hi\n\n${REPEATED}ho■`);
  });
});

describe("a turn in tool mode", () => {
  const reply = (content: string, final = true): TurnEvent => ({ type: "reply", content, final });
  const receipt: TurnEvent = { type: "receipt", promptId: "p" };
  const cases: [what: string, events: TurnEvent[], seen: string, done: string, phase: TurnState["phase"]][] = [
    ["ends the answer with the final reply", [prompt("p", "mine"), reply("hi")], "hi■", "", "answered"],
    [
      "frees Claude with Stop",
      [prompt("p", "mine"), reply("hi"), stop("p", "bye"), transcript("bye")],
      "hi■",
      "✓",
      "done",
    ],
    [
      "sends replies that are not final",
      [prompt("p", "mine"), reply("on it", false), reply("hi")],
      "on it\n\nhi■",
      "",
      "answered",
    ],
    [
      "sends none of Claude's own text",
      [prompt("p", "mine"), display("p", "a", 0, "aside", true), reply("hi")],
      "hi■",
      "",
      "answered",
    ],
    ["ignores a second final reply", [prompt("p", "mine"), reply("hi"), reply("again")], "hi■", "", "answered"],
    ["sends the last message when there is no reply", [prompt("p", "mine"), stop("p", "last")], "last■", "✓", "done"],
    [
      "sends the last message when there is no final reply",
      [prompt("p", "mine"), reply("on it", false), stop("p", "last")],
      "on it\n\nlast■",
      "✓",
      "done",
    ],
    ["sends a placeholder when Claude wrote nothing", [prompt("p", "mine"), stop("p")], "(no answer)■", "✓", "done"],
    ["needs no hook when a reply proves the receipt", [reply("hi"), idle], "hi■", "✓", "done"],
    [
      "needs no hook when the transcript has its text",
      [receipt, idle, transcript("first", "last")],
      "last■",
      "✓",
      "done",
    ],
    [
      "accepts a Stop that arrives after Claude was idle",
      [receipt, idle, stop("p", "last"), transcript("last")],
      "last■",
      "✓",
      "done",
    ],
    ["keeps its answer when its process exits", [prompt("p", "mine"), reply("hi"), exited], "hi■", "✓", "done"],
    [
      "can be interrupted after its answer",
      [prompt("p", "mine"), reply("hi"), timedOut, idle],
      "hi■",
      "⎋✓",
      "interrupted",
    ],
  ];
  test.each(cases)("%s", (_what, events, expectedSeen, expectedDone, phase) => {
    const [state, outputs] = runIn("tool", ...events);
    expect([seen(outputs), done(outputs), state.phase]).toEqual([expectedSeen, expectedDone, phase]);
  });

  test("is received once, by its hook or by a reply or call that comes first", () => {
    const received = (...events: TurnEvent[]) => runIn("tool", ...events)[1].filter(({ type }) => type === "received");
    expect(received(prompt("p", "mine"), reply("hi"))).toEqual([{ type: "received", promptId: "p" }]);
    expect(received(reply("on it", false), reply("hi"))).toEqual([{ type: "received", promptId: null }]);
    expect(received(reply("hi"), prompt("p", "mine"))).toHaveLength(1);
    expect(received(call("a"), receipt)).toHaveLength(1);
  });
});

describe("a turn with calls of the client's tools", () => {
  const PREFIX = "mcp__plugin_synthesis_chat__";
  const used = (name: "PreToolUse" | "PostToolUse", id: string): TurnEvent =>
    hook({ ...common("p"), hook_event_name: name, tool_name: `${PREFIX}t`, tool_use_id: id });
  const cases: [what: string, events: TurnEvent[], seen: string, phase: TurnState["phase"]][] = [
    ["parks with all calls of a message", [call("a"), call("b"), collected], "(a,b)", "parked"],
    ["sends the calls one by one to a client that wants that", [call("a"), call("b"), collectedOne], "(a)", "parked"],
    [
      "sends the calls in the model's order, and unknown ones last",
      [call("c"), call("b"), call("a"), { type: "calls_collected", order: ["a", "b"], isParallel: true }],
      "(a,b,c)",
      "parked",
    ],
    ["ignores a call that arrives twice", [call("a"), call("a"), collected], "(a)", "parked"],
    ["sends the text before the calls", [display("p", "m", 0, "hm", true), call("a"), collected], "hm(a)", "parked"],
    ["continues with the results", [call("a"), collected, resume(["a", "A"])], "(a)a=A", "running"],
    [
      "gives Claude an error for a missing result",
      [call("a"), call("b"), collected, resume(["b", "B"])],
      "(a,b)a✗b=B",
      "running",
    ],
    [
      "holds text for the next answer while it is parked",
      [call("a"), collected, display("p", "m", 0, "late", true), resume(["a", "A"])],
      "(a)a=Alate",
      "running",
    ],
    [
      "starts the next answer without a blank line",
      [
        display("p", "m", 0, "one", true),
        call("a"),
        collected,
        resume(["a", "A"]),
        used("PostToolUse", "a"),
        display("p", "n", 0, "two", true),
        stop("p", "two"),
      ],
      "one(a)a=Atwo■",
      "done",
    ],
    [
      "completes the next answer from the transcript without a blank line",
      [
        display("p", "m", 0, "one", true),
        call("a"),
        collected,
        resume(["a", "A"]),
        used("PostToolUse", "a"),
        stop("p", "two"),
        transcript("one", "two"),
      ],
      "one(a)a=Atwo■",
      "done",
    ],
    [
      "sends a placeholder when Claude wrote nothing after the results",
      [call("a"), collected, resume(["a", "A"]), stop("p")],
      "(a)a=A(no answer)■",
      "done",
    ],
    [
      "sends a call that arrived while it was parked with the next answer",
      [call("a"), collected, call("b"), resume(["a", "A"]), collected, resume(["b", "B"])],
      "(a)a=A(b)b=B",
      "running",
    ],
    ["does not send a cancelled call", [call("a"), { type: "call_cancelled", id: "a" }, collected], "", "running"],
    [
      "does not send calls after its client has disconnected",
      [call("a"), disconnected, collected],
      "⎋",
      "interrupting",
    ],
    ["answers a call after its end with an error", [stop("p"), transcript(), call("a")], "(no answer)■a✗", "done"],
    ["answers a call with an error while it is interrupted", [disconnected, call("a")], "⎋a✗", "interrupting"],
    ["ends without text when Claude was stopped at its terminal", [call("a"), collected, idle], "(a)", "interrupted"],
    [
      "ends without text when Claude does not wait for the result",
      [call("a"), collected, stop("p", "x")],
      "(a)",
      "done",
    ],
    ["fails when its process exits while it is parked", [call("a"), collected, exited], "(a)✗claude_exited", "failed"],
    ["ignores a second resume", [call("a"), collected, resume(["a", "A"]), resume(["a", "B"])], "(a)a=A", "running"],
    [
      "is stopped after Claude has recorded the results with which it was abandoned",
      [call("a"), call("b"), collected, abandon(["a", "A"]), used("PostToolUse", "a"), used("PostToolUse", "b"), idle],
      "(a,b)a=Ab✗⎋",
      "interrupted",
    ],
    [
      "is stopped in time when Claude does not record the results with which it was abandoned",
      [call("a"), collected, abandon(), { type: "closing_timeout" }, { type: "closing_timeout" }, idle],
      "(a)a✗⎋",
      "interrupted",
    ],
    [
      "sends no more text after it was abandoned, even if Stop arrives first",
      [call("a"), collected, abandon(), display("p", "m", 0, "x", true), stop("p", "x"), { type: "closing_timeout" }],
      "(a)a✗",
      "done",
    ],
  ];
  test.each(cases)("%s", (_what, events, expected, phase) => {
    const [state, outputs] = run(prompt("p", "mine"), ...events);
    expect([story(outputs), state.phase]).toEqual([expected, phase]);
  });

  test("lists the calls that a hook has announced and that have not arrived", () => {
    const announced = (...events: TurnEvent[]) => run(prompt("p", "mine"), ...events)[0].announced;
    expect(announced(used("PreToolUse", "a"), used("PreToolUse", "b"), call("a"))).toEqual(["b"]);
    expect(announced(used("PreToolUse", "a"), used("PostToolUse", "a"))).toEqual([]);
    expect(announced(call("a"), used("PreToolUse", "a"))).toEqual([]);
  });

  test("counts a call as the receipt in tool mode", () => {
    const [state, outputs] = runIn("tool", call("a"), collected, { type: "reply", content: "hi", final: true });
    expect([story(outputs), state.phase, state.received]).toEqual(["(a)", "parked", true]);
    expect(story(reduceTurn(state, resume(["a", "A"]))[1])).toBe("a=Ahi");
  });

  test("property: any order of events gives one end, sends no text or call twice, and answers each call once", () => {
    const ids = ["a", "b", "c"];
    const anyEvent = fc.oneof(
      fc
        .constantFrom(...ids)
        .chain((id) =>
          fc.constantFrom<TurnEvent>(
            call(id),
            used("PreToolUse", id),
            used("PostToolUse", id),
            { type: "call_cancelled", id },
            resume([id, "R"]),
            abandon([id, "R"]),
          ),
        ),
      fc
        .tuple(fc.constantFrom("m", "n"), fc.nat(2), fc.boolean())
        .map(([m, i, final]) => display("p", m, i, `${m}${i} `, final)),
      fc.constantFrom<TurnEvent>(
        collected,
        collectedOne,
        disconnected,
        timedOut,
        idle,
        exited,
        stop("p", "x"),
        transcript("x"),
        {
          type: "closing_timeout",
        },
      ),
      // A question, and a reply that continues the turn or abandons it.
      fc.constantFrom<TurnEvent>({ type: "ask_client", text: "May I?" }, resume(), abandon()),
    );
    const replies = fc.boolean().map((final): TurnEvent => ({ type: "reply", content: "r", final }));
    const disorder = fc.array(fc.oneof({ weight: 5, arbitrary: anyEvent }, replies), { maxLength: 20 });
    const beginning = fc.constantFrom<TurnEvent[]>([], [call("a"), collected], [call("a"), collected, abandon()]);
    const mode = fc.constantFrom<ReplyMode>("live", "tool");
    fc.assert(
      fc.property(mode, beginning, disorder, fc.nat(20), (mode, begun, more, receivedAt) => {
        // Claude receives the message before it acts on it, but in tool mode its hook may arrive late.
        const events = [...begun, ...more].toSpliced(mode === "tool" ? receivedAt : 0, 0, prompt("p", "mine"));
        const seenCalls = new Set<string>();
        // Claude gives each call its own id.
        const distinct = events.filter((event) => {
          if (event.type !== "call") return true;
          const isNew = !seenCalls.has(event.call.id);
          seenCalls.add(event.call.id);
          return isNew;
        });
        const [state, outputs] = runIn(mode, ...distinct);
        const whole = story(outputs);
        const ends = outputs.filter(({ type }) => type === "finish" || type === "error");
        expect(ends.length).toBeLessThanOrEqual(1);
        expect(outputs.filter(({ type }) => type === "received").length).toBeLessThanOrEqual(1);
        expect(done(outputs)).toMatch(/^⎋?✓?$/);
        // Each answer ends once: with its text, a question, or calls.
        const openings = distinct.filter(({ type }) => type === "resume").length + 1;
        const endings = outputs.filter(({ type }) => ["finish", "calls", "question_asked"].includes(type));
        expect(endings.length).toBeLessThanOrEqual(openings);
        for (const text of whole.match(/[mn]\d /g) ?? []) expect(whole.split(text)).toHaveLength(2);
        const out = outputs.flatMap((output) => (output.type === "calls" ? output.calls.map(({ id }) => id) : []));
        const answered = outputs.flatMap((output) => (output.type === "result" ? [output.id] : []));
        expect(new Set(out).size).toBe(out.length);
        expect(new Set(answered).size).toBe(answered.length);
        // The client does not receive a call that has its result already.
        for (const id of out) {
          const asked = outputs.findIndex(
            (output) => output.type === "calls" && output.calls.some((one) => one.id === id),
          );
          const given = outputs.findIndex((output) => output.type === "result" && output.id === id);
          expect(given === -1 || given > asked).toBe(true);
        }
        // While the turn runs or is parked, it keeps every call that has no result and was not ended.
        const over = distinct.flatMap((event) => {
          if (event.type === "call_cancelled") return [event.id];
          return event.type === "hook" && event.hook.hook_event_name === "PostToolUse"
            ? [event.hook.tool_use_id ?? ""]
            : [];
        });
        if (state.phase !== "running" && state.phase !== "parked") return;
        const known = new Set([...state.calls.map(({ id }) => id), ...answered, ...over]);
        expect([...seenCalls].filter((id) => !known.has(id))).toEqual([]);
      }),
      { numRuns: 3000 },
    );
  });
});

/**
 * A turn of several messages, with a tool use between two of them. Claude waits until the tool's hook is answered, so
 * by then at least one delta of the message before it has arrived, and none of the message after it. Everything else
 * may arrive at any time, and twice.
 */
const turnInDisorder = fc
  .array(fc.array(fc.constantFrom("ab\n", "c", "\n", "de"), { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 4,
  })
  .filter((all) => all.every((pieces) => pieces.join("").trim() !== ""))
  .chain((all) => {
    const end = all.length + 1;
    const at = (from: number, to: number) =>
      fc.double({ min: from, max: to, noNaN: true, minExcluded: true, maxExcluded: true });
    const timed = (event: TurnEvent, from: number, to: number) => at(from, to).map((when) => ({ when, event }));
    const texts = all.map((pieces) => pieces.join(""));
    const events = all.flatMap((pieces, m) => {
      const shown = pieces.map((text, i) => display("p", `m${m}`, i, text, i + 1 === pieces.length));
      const tool = hook({ ...common("p"), hook_event_name: "PostToolUse", tool_name: "Bash" });
      const last = m + 1 === all.length;
      return [
        ...shown.map((event) => timed(event, m, end)),
        fc.constantFrom(...shown).chain((event) => timed(event, m, last ? end : m + 1)),
        ...(last ? [] : [fc.constant({ when: m + 1, event: tool })]),
      ];
    });
    const external = [prompt("q", "other"), display("q", "x", 0, "EXTERNAL", true), stop("q", "EXTERNAL")];
    return fc
      .tuple(
        timed(prompt("p", "mine"), 0, end),
        timed(stop("p", texts.at(-1)?.trim()), all.length - 1, end),
        ...events,
        ...external.map((event) => timed(event, 0, end)),
      )
      .map((all) => ({ texts, events: all.sort((one, other) => one.when - other.when).map(({ event }) => event) }));
  });

test("property: in any order of arrival the client receives each message once, in order, and one end", () => {
  fc.assert(
    fc.property(turnInDisorder, ({ texts, events }) => {
      // The runner reads the transcript at Stop.
      const [state, outputs] = run(...events, transcript(...texts));
      const gap = (text: string) => (text === "" || text.endsWith("\n\n") ? "" : text.endsWith("\n") ? "\n" : "\n\n");
      expect(seen(outputs)).toBe(`${texts.reduce((text, one) => text + gap(text) + one, "")}■`);
      expect(state.phase).toBe("done");
    }),
    { numRuns: 2000 },
  );
});

test("property: any events end the turn at most once, and nothing follows the end", () => {
  const anyEvent = fc.oneof(
    fc.constantFrom("p", "q").chain((id) =>
      fc.oneof(
        fc.constantFrom(prompt(id, "mine"), prompt(id, "other"), stop(id, "x"), stop(id)),
        fc
          .tuple(fc.constantFrom("a", "b"), fc.nat(3), fc.boolean())
          .map(([m, i, final]) => display(id, m, i, `${id}${m}${i} `, final)),
        fc.constant(hook({ ...common(id), hook_event_name: "StopFailure", error: "unknown" })),
        fc.constant(hook({ ...common(id), hook_event_name: "PostToolUse", tool_name: "Bash" })),
      ),
    ),
    fc.constantFrom<TurnEvent>(transcript("x"), { type: "transcript", texts: null, usage: null }),
    fc.constantFrom<TurnEvent>(disconnected, timedOut, idle, exited, { type: "receipt", promptId: "p" }),
  );
  const replies = fc.record({ type: fc.constant("reply" as const), content: fc.constant("r"), final: fc.boolean() });
  const mode = fc.constantFrom<ReplyMode>("live", "tool");
  fc.assert(
    fc.property(mode, fc.array(fc.oneof(anyEvent, replies), { maxLength: 30 }), (mode, events) => {
      const [state, outputs] = runIn(mode, ...events);
      const shown = seen(outputs);
      expect(outputs.filter(({ type }) => type === "received").length).toBeLessThanOrEqual(1);
      // Claude is interrupted at most once, and becomes free exactly once: when the turn settles or ends.
      expect(done(outputs)).toMatch(/^⎋?✓?$/);
      expect(done(outputs).includes("✓")).toBe(["settling", "done", "failed", "interrupted"].includes(state.phase));
      expect(shown.match(/[■✗]/g)?.length ?? 0).toBeLessThanOrEqual(1);
      expect(shown).toMatch(/^[^■✗]*(■|✗\w+)?$/);
      for (const one of shown.match(/[pq][ab]\d /g) ?? []) expect(shown.split(one)).toHaveLength(2);
      // Only one of the prompts is the turn's, so the texts of both never mix.
      expect(/p[ab]\d/.test(shown) && /q[ab]\d/.test(shown)).toBe(false);
    }),
    { numRuns: 2000 },
  );
});

describe("a Stop that another hook may overrule", () => {
  const overruled = (last: string): TurnEvent => ({
    ...(stop("p", last) as TurnEvent & { type: "hook" }),
    mayContinue: true,
  });
  const begun = [prompt("p", "mine"), display("p", "a", 0, "one", true), overruled("one")];

  test("ends the turn when Claude is idle", () => {
    expect(seen(run(...begun)[1])).toBe("one");
    expect(seen(run(...begun, idle)[1])).toBe("one■");
    expect(done(run(...begun, idle)[1])).toBe("✓");
  });

  test("ends the turn when Claude starts on another prompt, or its process exits", () => {
    expect(seen(run(...begun, prompt("q", "other"))[1])).toBe("one■");
    expect(seen(run(...begun, exited)[1])).toBe("one■");
  });

  test("does not end the turn when Claude continues, and both texts are one answer", () => {
    const more = [display("p", "b", 0, "two", true), overruled("two"), idle];
    expect(seen(run(...begun, ...more)[1])).toBe("one\n\ntwo■");
    expect(done(run(...begun, ...more)[1])).toBe("✓");
  });

  test("does not keep the turn alive when the client disconnects", () => {
    expect(done(run(...begun, disconnected)[1])).toBe("⎋");
    expect(done(run(...begun, disconnected, idle)[1])).toBe("⎋✓");
  });

  test("is also awaited after the final reply", () => {
    const reply: TurnEvent = { type: "reply", content: "said", final: true };
    const [, outputs] = runIn("tool", prompt("p", "mine"), reply, overruled("x"));
    expect([seen(outputs), done(outputs)]).toEqual(["said■", ""]);
    const [state, all] = runIn("tool", prompt("p", "mine"), reply, overruled("x"), idle);
    expect([seen(all), done(all), state.phase]).toEqual(["said■", "✓", "done"]);
  });
});

describe("a message that a user's hook refuses", () => {
  test.each([true, false])("is answered with the hook's reason; Claude keeps the message: %p", (isKept) => {
    const [state, outputs] = run(prompt("p", "mine"), { type: "refused", reason: " No. ", isKept });
    expect([seen(outputs), done(outputs), state.phase, state.received]).toEqual(["No.■", "✓", "done", isKept]);
    expect(state.isRefused).toBe(true);
  });

  test("is not answered again after the end of the turn", () => {
    expect(seen(run(prompt("p", "mine"), stop("p"), { type: "refused", reason: "No.", isKept: true })[1])).toBe(
      "(no answer)■",
    );
  });
});

describe("a model request that fails", () => {
  const failed = (error: string, more: object = {}): TurnEvent =>
    hook({ ...common("p"), hook_event_name: "StopFailure", error, ...more });
  const recorded = (kind: string, texts: string[], message = "It failed."): TurnEvent => ({
    type: "failure",
    record: { texts, failure: failureFromText(kind, message) },
    now: 0,
  });

  test("ends the turn when its record is read, or cannot be read", () => {
    expect(seen(run(prompt("p", "mine"), failed("server_error"))[1])).toBe("");
    expect(seen(run(prompt("p", "mine"), failed("server_error"), recorded("overloaded", []))[1])).toBe("✗overloaded");
    const unread: TurnEvent = { type: "failure", record: null, now: 0 };
    expect(seen(run(prompt("p", "mine"), failed("billing_error"), unread)[1])).toBe("✗billing_error");
  });

  test("does not end the turn when it is a subagent's", () => {
    const events = [prompt("p", "mine"), failed("server_error", { agent_id: "a" }), display("p", "a", 0, "hi", true)];
    expect(seen(run(...events, stop("p", "hi"))[1])).toBe("hi■");
  });

  test("ends the answer at a length limit, with the recorded text", () => {
    const begun = [prompt("p", "mine"), display("p", "a", 0, "one"), failed("max_output_tokens")];
    const [, outputs] = run(...begun, recorded("max_output_tokens", ["one two"]));
    expect(seen(outputs)).toBe("one two■");
    expect(outputs).toContainEqual({ type: "finish", reason: "length" });
    expect(seen(run(prompt("p", "mine"), failed("max_output_tokens"), recorded("max_output_tokens", []))[1])).toBe(
      "It failed.■",
    );
  });
});
