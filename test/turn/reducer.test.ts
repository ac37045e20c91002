/** The turn's reducer: whose hooks count, and how a turn ends, in any order of events. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
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
/** What a client would see: the text, and how it ended. */
function seen(outputs: readonly TurnOutput[]): string {
  return outputs
    .map((output) => {
      if (output.type === "text") return output.text;
      if (output.type === "finish") return "■";
      return output.type === "error" ? `✗${output.error.code}` : "";
    })
    .join("");
}

const left: TurnEvent = { type: "interrupt", error: null };
const late: TurnEvent = { type: "interrupt", error: new RequestError("turn_timeout", "late") };
const idle: TurnEvent = { type: "idle" };
const gone: TurnEvent = { type: "fail", error: new RequestError("claude_exited", "gone") };
/** What becomes of claude: ⎋ for the key that stops it, ✓ when it is free. */
const done = (outputs: readonly TurnOutput[]): string =>
  outputs.map(({ type }) => (type === "interrupt" ? "⎋" : type === "free" ? "✓" : "")).join("");

const call = (id: string): TurnEvent => ({ type: "call", call: { id, name: "t", arguments: "{}" } });
const gathered: TurnEvent = { type: "calls_collected", isParallel: true };
const one: TurnEvent = { type: "calls_collected", isParallel: false };
const results = (given: [id: string, text: string][]) =>
  new Map(given.map(([id, text]) => [id, { content: [{ type: "text" as const, text }], isError: false }]));
const resume = (...given: [id: string, text: string][]): TurnEvent => ({ type: "resume", results: results(given) });
const giveUp = (...given: [id: string, text: string][]): TurnEvent => ({
  type: "abandon",
  results: results(given),
  why: "why",
});
/** All that happens: text, `(calls)`, `call=result` or `call✗`, ⎋, and the end. */
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
      "while it runs: one key, free when claude's record shows it",
      [prompt("p", "mine"), left, idle],
      "",
      "⎋✓",
      "interrupted",
    ],
    ["before its receipt: the key waits for it", [left, prompt("p", "mine"), idle], "", "⎋✓", "interrupted"],
    ["before its receipt, and claude is idle: nothing yet", [left, idle], "", "", "interrupting"],
    ["with its process", [prompt("p", "mine"), left, gone], "", "⎋✓", "interrupted"],
    [
      "shows no more text",
      [prompt("p", "mine"), left, display("p", "a", 0, "hi", true), idle],
      "",
      "⎋✓",
      "interrupted",
    ],
    ["and is done all the same: Stop wins", [prompt("p", "mine"), left, stop("p", "hi")], "", "⎋✓", "done"],
    [
      "because it takes too long: the client is told at once",
      [prompt("p", "mine"), late, idle],
      "✗turn_timeout",
      "⎋✓",
      "interrupted",
    ],
    ["twice: one key", [prompt("p", "mine"), late, left, idle], "✗turn_timeout", "⎋✓", "interrupted"],
    [
      "too late: it is over",
      [prompt("p", "mine"), display("p", "a", 0, "hi", true), stop("p", "hi"), left],
      "hi■",
      "✓",
      "done",
    ],
    [
      "while its last text is on its way: too late",
      [prompt("p", "mine"), stop("p", "hi"), left, transcript("hi")],
      "hi■",
      "✓",
      "done",
    ],
    [
      "whose receipt is found in claude's record",
      [left, { type: "receipt", promptId: "p" }, stop("p")],
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
    ["streams and ends", [prompt("p", "mine"), display("p", "a", 0, "hi", true), stop("p", "hi")], "hi■"],
    ["waits for a piece behind Stop", [prompt("p", "mine"), stop("p", "hi"), display("p", "a", 0, "hi", true)], "hi■"],
    [
      "takes from the transcript what never came",
      [prompt("p", "mine"), display("p", "a", 0, "h"), stop("p", "hi"), transcript("hi")],
      "hi■",
    ],
    [
      "says nothing again that came after all",
      [prompt("p", "mine"), stop("p", "hi"), transcript("hi"), display("p", "a", 0, "hi", true)],
      "hi■",
    ],
    [
      "ends without a transcript",
      [prompt("p", "mine"), stop("p", "hi"), { type: "transcript", texts: null, usage: null }],
      "hi■",
    ],
    ["is never empty", [prompt("p", "mine"), stop("p")], "(no answer)■"],
    [
      "takes hooks that overtook their prompt",
      [display("p", "a", 0, "hi", true), prompt("p", "mine"), stop("p", "hi")],
      "hi■",
    ],
    [
      "takes all hooks of a slow turn whose receipt was lost",
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
      "forgets hooks whose prompt did not come within a minute",
      [
        display("p", "a", 0, "old", true, 0),
        display("p", "b", 0, "hi", true, 60_000),
        prompt("p", "mine"),
        stop("p", "hi"),
      ],
      "hi■",
    ],
    [
      "leaves out what belongs to another prompt",
      [
        prompt("q", "other"),
        display("q", "x", 0, "foreign", true),
        prompt("p", "mine"),
        display("q", "x", 1, "foreign", true),
        stop("q", "foreign"),
        display("p", "a", 0, "hi", true),
        stop("p", "hi"),
      ],
      "hi■",
    ],
    [
      "is told of a failure after its text",
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
      "fails when its process does",
      [prompt("p", "mine"), { type: "fail", error: new RequestError("claude_exited", "gone") }, stop("p", "hi")],
      "✗claude_exited",
    ],
    [
      "has a note between the messages",
      [prompt("p", "mine"), { type: "note", text: "[a note]" }, display("p", "a", 0, "no", true), stop("p", "no")],
      "[a note]\n\nno■",
    ],
  ];
  test.each(cases)("%s", (_what, events, expected) => {
    expect(seen(run(...events)[1])).toBe(expected);
  });

  test("gives the transcript's figures after its end", () => {
    const [, outputs] = run(prompt("p", "mine"), display("p", "a", 0, "hi", true), stop("p", "hi"), transcript("hi"));
    expect(outputs.map(({ type }) => type)).toEqual(["received", "text", "free", "finish", "read_transcript", "usage"]);
  });

  test("counts it when the transcript tells another story", () => {
    const [, outputs] = run(prompt("p", "mine"), display("p", "a", 0, "hi"), stop("p", "ho"), transcript("ho"));
    expect(outputs.map(({ type }) => type)).toContain("diverged");
    expect(seen(outputs)).toBe("hi■");
  });
});

describe("a turn in tool mode", () => {
  const reply = (content: string, final = true): TurnEvent => ({ type: "reply", content, final });
  const receipt: TurnEvent = { type: "receipt", promptId: "p" };
  const cases: [what: string, events: TurnEvent[], seen: string, done: string, phase: TurnState["phase"]][] = [
    ["ends for the client with a final reply", [prompt("p", "mine"), reply("hi")], "hi■", "", "answered"],
    [
      "ends for claude with Stop",
      [prompt("p", "mine"), reply("hi"), stop("p", "bye"), transcript("bye")],
      "hi■",
      "✓",
      "done",
    ],
    [
      "shows replies on the way",
      [prompt("p", "mine"), reply("on it", false), reply("hi")],
      "on it\n\nhi■",
      "",
      "answered",
    ],
    [
      "shows nothing else",
      [prompt("p", "mine"), display("p", "a", 0, "aside", true), reply("hi")],
      "hi■",
      "",
      "answered",
    ],
    ["shows no second answer", [prompt("p", "mine"), reply("hi"), reply("again")], "hi■", "", "answered"],
    ["falls back to the last message", [prompt("p", "mine"), stop("p", "last")], "last■", "✓", "done"],
    [
      "falls back after replies on the way, too",
      [prompt("p", "mine"), reply("on it", false), stop("p", "last")],
      "on it\n\nlast■",
      "✓",
      "done",
    ],
    ["is never empty", [prompt("p", "mine"), stop("p")], "(no answer)■", "✓", "done"],
    ["needs no hook: a reply is a receipt", [reply("hi"), idle], "hi■", "✓", "done"],
    ["needs no hook: claude's record has its end", [receipt, idle, transcript("first", "last")], "last■", "✓", "done"],
    [
      "needs no hook, and takes them if they come",
      [receipt, idle, stop("p", "last"), transcript("last")],
      "last■",
      "✓",
      "done",
    ],
    ["keeps its answer when its process ends", [prompt("p", "mine"), reply("hi"), gone], "hi■", "✓", "done"],
    [
      "can be interrupted behind its answer",
      [prompt("p", "mine"), reply("hi"), late, idle],
      "hi■",
      "⎋✓",
      "interrupted",
    ],
  ];
  test.each(cases)("%s", (_what, events, expectedSeen, expectedDone, phase) => {
    const [state, outputs] = runIn("tool", ...events);
    expect([seen(outputs), done(outputs), state.phase]).toEqual([expectedSeen, expectedDone, phase]);
  });

  test("is received once: with its hook, or with a reply or a call when that comes late or never", () => {
    const received = (...events: TurnEvent[]) => runIn("tool", ...events)[1].filter(({ type }) => type === "received");
    expect(received(prompt("p", "mine"), reply("hi"))).toEqual([{ type: "received", promptId: "p" }]);
    expect(received(reply("on it", false), reply("hi"))).toEqual([{ type: "received", promptId: null }]);
    expect(received(reply("hi"), prompt("p", "mine"))).toHaveLength(1);
    expect(received(call("a"), receipt)).toHaveLength(1);
  });
});

describe("a turn whose claude calls the client's tools", () => {
  const PREFIX = "mcp__plugin_synthesis_chat__";
  const used = (name: "PreToolUse" | "PostToolUse", id: string): TurnEvent =>
    hook({ ...common("p"), hook_event_name: name, tool_name: `${PREFIX}t`, tool_use_id: id });
  const cases: [what: string, events: TurnEvent[], seen: string, phase: TurnState["phase"]][] = [
    ["parks when its calls are together", [call("a"), call("b"), gathered], "(a,b)", "parked"],
    ["gives them out one by one, if the client wants it so", [call("a"), call("b"), one], "(a)", "parked"],
    ["takes a call that comes twice once", [call("a"), call("a"), gathered], "(a)", "parked"],
    [
      "says the text before the calls before them",
      [display("p", "m", 0, "hm", true), call("a"), gathered],
      "hm(a)",
      "parked",
    ],
    ["goes on with the results", [call("a"), gathered, resume(["a", "A"])], "(a)a=A", "running"],
    [
      "tells claude which results are missing",
      [call("a"), call("b"), gathered, resume(["b", "B"])],
      "(a,b)a✗b=B",
      "running",
    ],
    [
      "keeps what is said meanwhile for the next answer",
      [call("a"), gathered, display("p", "m", 0, "late", true), resume(["a", "A"])],
      "(a)a=Alate",
      "running",
    ],
    [
      "says what comes behind the results without a gap before it",
      [
        display("p", "m", 0, "one", true),
        call("a"),
        gathered,
        resume(["a", "A"]),
        used("PostToolUse", "a"),
        display("p", "n", 0, "two", true),
        stop("p", "two"),
      ],
      "one(a)a=Atwo■",
      "done",
    ],
    [
      "takes what never came from the transcript, without a gap as well",
      [
        display("p", "m", 0, "one", true),
        call("a"),
        gathered,
        resume(["a", "A"]),
        used("PostToolUse", "a"),
        stop("p", "two"),
        transcript("one", "two"),
      ],
      "one(a)a=Atwo■",
      "done",
    ],
    [
      "is never empty behind results",
      [call("a"), gathered, resume(["a", "A"]), stop("p")],
      "(a)a=A(no answer)■",
      "done",
    ],
    [
      "has further rounds, with calls that came while the client was away",
      [call("a"), gathered, call("b"), resume(["a", "A"]), gathered, resume(["b", "B"])],
      "(a)a=A(b)b=B",
      "running",
    ],
    ["puts out no call that is over", [call("a"), { type: "call_cancelled", id: "a" }, gathered], "", "running"],
    ["has no calls when its client has left", [call("a"), left, gathered], "⎋", "interrupting"],
    ["answers a call that comes behind its end", [stop("p"), transcript(), call("a")], "(no answer)■a✗", "done"],
    ["answers a call that comes while it is interrupted", [left, call("a")], "⎋a✗", "interrupting"],
    ["ends in silence when somebody else has stopped claude", [call("a"), gathered, idle], "(a)", "interrupted"],
    ["ends in silence when claude does not wait", [call("a"), gathered, stop("p", "x")], "(a)", "done"],
    ["fails with its process", [call("a"), gathered, gone], "(a)✗claude_exited", "failed"],
    ["goes on once only", [call("a"), gathered, resume(["a", "A"]), resume(["a", "B"])], "(a)a=A", "running"],
    [
      "that is given up is stopped when claude has the results",
      [call("a"), call("b"), gathered, giveUp(["a", "A"]), used("PostToolUse", "a"), used("PostToolUse", "b"), idle],
      "(a,b)a=Ab✗⎋",
      "interrupted",
    ],
    [
      "that is given up is stopped when claude does not say that it has them",
      [call("a"), gathered, giveUp(), { type: "closing_timeout" }, { type: "closing_timeout" }, idle],
      "(a)a✗⎋",
      "interrupted",
    ],
    [
      "that is given up says no more, though claude is faster",
      [call("a"), gathered, giveUp(), display("p", "m", 0, "x", true), stop("p", "x"), { type: "closing_timeout" }],
      "(a)a✗",
      "done",
    ],
  ];
  test.each(cases)("%s", (_what, events, expected, phase) => {
    const [state, outputs] = run(prompt("p", "mine"), ...events);
    expect([story(outputs), state.phase]).toEqual([expected, phase]);
  });

  test("knows which calls are on their way", () => {
    const announced = (...events: TurnEvent[]) => run(prompt("p", "mine"), ...events)[0].announced;
    expect(announced(used("PreToolUse", "a"), used("PreToolUse", "b"), call("a"))).toEqual(["b"]);
    expect(announced(used("PreToolUse", "a"), used("PostToolUse", "a"))).toEqual([]);
    expect(announced(call("a"), used("PreToolUse", "a"))).toEqual([]);
  });

  test("without hooks has the message when it calls (tool mode)", () => {
    const [state, outputs] = runIn("tool", call("a"), gathered, { type: "reply", content: "hi", final: true });
    expect([story(outputs), state.phase, state.received]).toEqual(["(a)", "parked", true]);
    expect(story(reduceTurn(state, resume(["a", "A"]))[1])).toBe("a=Ahi");
  });

  test("property: in whatever order, one end, no text twice, no call put out or answered twice, none left without answer", () => {
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
            giveUp([id, "R"]),
          ),
        ),
      fc
        .tuple(fc.constantFrom("m", "n"), fc.nat(2), fc.boolean())
        .map(([m, i, final]) => display("p", m, i, `${m}${i} `, final)),
      fc.constantFrom<TurnEvent>(gathered, one, left, late, idle, gone, stop("p", "x"), transcript("x"), {
        type: "closing_timeout",
      }),
      // A question, and the verdict with which the turn goes on, or none.
      fc.constantFrom<TurnEvent>({ type: "ask_client", text: "May I?" }, resume(), giveUp()),
    );
    const replies = fc.boolean().map((final): TurnEvent => ({ type: "reply", content: "r", final }));
    const disorder = fc.array(fc.oneof({ weight: 5, arbitrary: anyEvent }, replies), { maxLength: 20 });
    const beginning = fc.constantFrom<TurnEvent[]>([], [call("a"), gathered], [call("a"), gathered, giveUp()]);
    const mode = fc.constantFrom<ReplyMode>("live", "tool");
    fc.assert(
      fc.property(mode, beginning, disorder, fc.nat(20), (mode, begun, more, receivedAt) => {
        // claude takes the message before it does anything with it, but its hook may come late.
        const events = [...begun, ...more].toSpliced(mode === "tool" ? receivedAt : 0, 0, prompt("p", "mine"));
        const seenCalls = new Set<string>();
        // claude gives each call an id of its own.
        const distinct = events.filter((event) => {
          if (event.type !== "call") return true;
          const isNew = !seenCalls.has(event.call.id);
          seenCalls.add(event.call.id);
          return isNew;
        });
        const [state, outputs] = runIn(mode, ...distinct);
        const told = story(outputs);
        const ends = outputs.filter(({ type }) => type === "finish" || type === "error");
        expect(ends.length).toBeLessThanOrEqual(1);
        expect(outputs.filter(({ type }) => type === "received").length).toBeLessThanOrEqual(1);
        expect(done(outputs)).toMatch(/^⎋?✓?$/);
        // An answer that has ended with a question or calls has no other end, and none is put to nobody.
        const openings = distinct.filter(({ type }) => type === "resume").length + 1;
        const endings = outputs.filter(({ type }) => ["finish", "calls", "parked"].includes(type));
        expect(endings.length).toBeLessThanOrEqual(openings);
        for (const text of told.match(/[mn]\d /g) ?? []) expect(told.split(text)).toHaveLength(2);
        const out = outputs.flatMap((output) => (output.type === "calls" ? output.calls.map(({ id }) => id) : []));
        const answered = outputs.flatMap((output) => (output.type === "result" ? [output.id] : []));
        expect(new Set(out).size).toBe(out.length);
        expect(new Set(answered).size).toBe(answered.length);
        // The client is not asked for what has its answer already.
        for (const id of out) {
          const asked = outputs.findIndex(
            (output) => output.type === "calls" && output.calls.some((one) => one.id === id),
          );
          const given = outputs.findIndex((output) => output.type === "result" && output.id === id);
          expect(given === -1 || given > asked).toBe(true);
        }
        // While a client waits or is waited for, every call that is not answered or over is still known.
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
 * A claude's turn of several messages with a tool's run between two of them. claude waits for the tool's
 * hook to be answered, so by then at least one piece of the message before it has come, and none of the
 * message behind it; everything else may come at any time and twice.
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
    const foreign = [prompt("q", "other"), display("q", "x", 0, "FOREIGN", true), stop("q", "FOREIGN")];
    return fc
      .tuple(
        timed(prompt("p", "mine"), 0, end),
        timed(stop("p", texts.at(-1)?.trim()), all.length - 1, end),
        ...events,
        ...foreign.map((event) => timed(event, 0, end)),
      )
      .map((all) => ({ texts, events: all.sort((one, other) => one.when - other.when).map(({ event }) => event) }));
  });

test("property: whatever overtakes what, the client gets each message once, in order, and one end", () => {
  fc.assert(
    fc.property(turnInDisorder, ({ texts, events }) => {
      // The session reads the transcript at Stop.
      const [state, outputs] = run(...events, transcript(...texts));
      const gap = (text: string) => (text === "" || text.endsWith("\n\n") ? "" : text.endsWith("\n") ? "\n" : "\n\n");
      expect(seen(outputs)).toBe(`${texts.reduce((text, one) => text + gap(text) + one, "")}■`);
      expect(state.phase).toBe("done");
    }),
    { numRuns: 2000 },
  );
});

test("property: any events at all end at most once, and nothing follows the end", () => {
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
    fc.constantFrom<TurnEvent>(left, late, idle, gone, { type: "receipt", promptId: "p" }),
  );
  const replies = fc.record({ type: fc.constant("reply" as const), content: fc.constant("r"), final: fc.boolean() });
  const mode = fc.constantFrom<ReplyMode>("live", "tool");
  fc.assert(
    fc.property(mode, fc.array(fc.oneof(anyEvent, replies), { maxLength: 30 }), (mode, events) => {
      const [state, outputs] = runIn(mode, ...events);
      const shown = seen(outputs);
      expect(outputs.filter(({ type }) => type === "received").length).toBeLessThanOrEqual(1);
      // claude is told to stop at most once, and let go exactly once, when the turn is over or settles.
      expect(done(outputs)).toMatch(/^⎋?✓?$/);
      expect(done(outputs).includes("✓")).toBe(["settling", "done", "failed", "interrupted"].includes(state.phase));
      expect(shown.match(/[■✗]/g)?.length ?? 0).toBeLessThanOrEqual(1);
      expect(shown).toMatch(/^[^■✗]*(■|✗\w+)?$/);
      for (const one of shown.match(/[pq][ab]\d /g) ?? []) expect(shown.split(one)).toHaveLength(2);
      // Only one prompt is ours: text of both never mixes.
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

  test("ends the turn when claude is idle", () => {
    expect(seen(run(...begun)[1])).toBe("one");
    expect(seen(run(...begun, idle)[1])).toBe("one■");
    expect(done(run(...begun, idle)[1])).toBe("✓");
  });

  test("ends it when claude takes up another prompt, or its process ends", () => {
    expect(seen(run(...begun, prompt("q", "other"))[1])).toBe("one■");
    expect(seen(run(...begun, gone)[1])).toBe("one■");
  });

  test("is none when claude goes on: all of it is one answer, a blank line between", () => {
    const more = [display("p", "b", 0, "two", true), overruled("two"), idle];
    expect(seen(run(...begun, ...more)[1])).toBe("one\n\ntwo■");
    expect(done(run(...begun, ...more)[1])).toBe("✓");
  });

  test("does not keep the client's leaving from ending the turn", () => {
    expect(done(run(...begun, left)[1])).toBe("⎋");
    expect(done(run(...begun, left, idle)[1])).toBe("⎋✓");
  });

  test("is waited for after the final reply, too", () => {
    const reply: TurnEvent = { type: "reply", content: "said", final: true };
    const [, outputs] = runIn("tool", prompt("p", "mine"), reply, overruled("x"));
    expect([seen(outputs), done(outputs)]).toEqual(["said■", ""]);
    const [state, all] = runIn("tool", prompt("p", "mine"), reply, overruled("x"), idle);
    expect([seen(all), done(all), state.phase]).toEqual(["said■", "✓", "done"]);
  });
});

describe("a message that a hook of the user's refuses", () => {
  test.each([true, false])("has the reason for its answer; claude has it: %p", (isKept) => {
    const [state, outputs] = run(prompt("p", "mine"), { type: "refused", reason: " No. ", isKept });
    expect([seen(outputs), done(outputs), state.phase, state.received]).toEqual(["No.■", "✓", "done", isKept]);
  });

  test("is none any more when the turn is over", () => {
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
    record: { texts, failure: { kind, message, status: null, isRefusal: false, resetsAt: null } },
    now: 0,
  });

  test("ends the turn when claude's record is read, or cannot be", () => {
    expect(seen(run(prompt("p", "mine"), failed("server_error"))[1])).toBe("");
    expect(seen(run(prompt("p", "mine"), failed("server_error"), recorded("overloaded", []))[1])).toBe("✗overloaded");
    const unread: TurnEvent = { type: "failure", record: null, now: 0 };
    expect(seen(run(prompt("p", "mine"), failed("billing_error"), unread)[1])).toBe("✗billing_error");
  });

  test("is a subagent's, and then claude says what comes of it", () => {
    const events = [prompt("p", "mine"), failed("server_error", { agent_id: "a" }), display("p", "a", 0, "hi", true)];
    expect(seen(run(...events, stop("p", "hi"))[1])).toBe("hi■");
  });

  test("has cut the answer, which is completed", () => {
    const begun = [prompt("p", "mine"), display("p", "a", 0, "one"), failed("max_output_tokens")];
    const [, outputs] = run(...begun, recorded("max_output_tokens", ["one two"]));
    expect(seen(outputs)).toBe("one two■");
    expect(outputs).toContainEqual({ type: "finish", reason: "length" });
    expect(seen(run(prompt("p", "mine"), failed("max_output_tokens"), recorded("max_output_tokens", []))[1])).toBe(
      "It failed.■",
    );
  });
});
