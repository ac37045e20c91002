/**
 * One request's work, as a pure reducer: a state and an event give the next state and what to do.
 *
 * Claude's hooks name the prompt they belong to. The one whose `UserPromptSubmit` begins with our
 * message's tag is ours (the receipt); hooks of other prompts are not, and those of a prompt nobody has
 * claimed yet are kept for a while, since hooks may overtake each other.
 */

import { failureFromHook } from "../claude/model-failure.ts";
import type { FailedTurn } from "../claude/transcript/turn-record.ts";
import { RequestError } from "../core/errors.ts";
import type { ToolCall } from "../core/tools.ts";
import type { Usage } from "../core/usage.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import type { ReplyMode, ToolContent } from "../wire/frames.ts";
import { channelMessageId, type HookBody } from "../wire/hooks.ts";
import { outcomeOf } from "./model-error.ts";
import {
  type Answer,
  addNote,
  afterStop,
  afterTool,
  appendDelta,
  closeMessage,
  complete,
  emptyAnswer,
  isWhole,
  join,
} from "./text-assembler.ts";

/**
 * - `sent`: pushed to the plugin, not seen by claude
 * - `running`: claude works on it
 * - `parked`: the client has its answer, which ends with calls of its tools; claude waits for their results
 * - `answered`: the client has its answer, claude still works (tool mode)
 * - `settling`: claude has stopped, but some of the text is still on its way
 * - `failing`: claude's model request has failed, and its record of that is awaited
 * - `interrupting`: claude is being told to stop
 * - `done`, `failed`, `interrupted`: over; at most the token figures follow
 */
export type Phase =
  | "sent"
  | "running"
  | "parked"
  | "answered"
  | "settling"
  | "failing"
  | "interrupting"
  | "done"
  | "failed"
  | "interrupted";

/** A call of one of the client's tools. */
interface PendingCall extends ToolCall {
  /** The client has been given it. */
  readonly isOut: boolean;
}

export interface ToolResult {
  readonly content: readonly ToolContent[];
  readonly isError: boolean;
}
/** By claude's ids of the calls. */
export type ToolResults = ReadonlyMap<string, ToolResult>;

export interface TurnState {
  readonly mode: ReplyMode;
  /** The `message_id` in the channel's meta. */
  readonly id: string;
  readonly phase: Phase;
  readonly promptId: string | null;
  /** claude has the message, as a hook, its record, or a reply has shown. */
  readonly taken: boolean;
  readonly answer: Answer;
  /** Something has gone to the client. */
  readonly spoken: boolean;
  /** Nothing more may go to the client: it has left, or was told an error. */
  readonly silent: boolean;
  /** Calls that have no result, in the order in which claude made them. */
  readonly calls: readonly PendingCall[];
  /** Calls that a hook has announced and that have not come, by claude's ids. */
  readonly announced: readonly string[];
  /** Text that waits for the client's next request: it has none open. */
  readonly held: string;
  /** What claude says of it at its end no client hears. */
  readonly isGivenUp: boolean;
  /** Calls whose results claude is still taking up; then it is told to stop. */
  readonly closing: readonly string[];
  /** Hooks of prompts that nobody has claimed, oldest first. */
  readonly unclaimed: readonly { readonly at: number; readonly hook: HookBody }[];
  /** `Stop`'s `last_assistant_message`. */
  readonly last: string | undefined;
  /** A `Stop` that another hook may overrule: the turn ends with it when claude is idle. */
  readonly pendingStop: StopHook | null;
  /** The `StopFailure` that ends the turn. */
  readonly failed: FailureHook | null;
}

type StopHook = HookBody & { readonly hook_event_name: "Stop" };
type FailureHook = HookBody & { readonly hook_event_name: "StopFailure" };

export type TurnEvent =
  /**
   * `at` is the time of arrival in ms. `mayContinue` comes with a `Stop` where another Stop hook may keep claude going.
   */
  | { readonly type: "hook"; readonly hook: HookBody; readonly at: number; readonly mayContinue?: boolean }
  /** claude has called the reply tool (tool mode). */
  | { readonly type: "reply"; readonly content: string; readonly final: boolean }
  /** claude has called a tool of the client's. */
  | { readonly type: "call"; readonly call: ToolCall }
  /** claude has given up a call. */
  | { readonly type: "call_cancelled"; readonly id: string }
  /** All calls that belong together have come. With `isParallel` false they go out one by one. */
  | { readonly type: "gathered"; readonly isParallel: boolean }
  /** The client has brought results; a call that is out and has none gets an error. */
  | { readonly type: "resume"; readonly results: ToolResults }
  /** A parked turn shall end: the calls get what results there are, and else `why`. */
  | { readonly type: "give_up"; readonly results: ToolResults; readonly why: string }
  /** claude has had the time to take up the results of a turn that was given up. */
  | { readonly type: "press" }
  /** The client's answer ends with a question of claude's; the turn waits for what is said to it. */
  | { readonly type: "question"; readonly text: string }
  /** Something that the client should know, between claude's words. */
  | { readonly type: "note"; readonly text: string }
  /** claude's record shows that it has our message, though its hook never came. */
  | { readonly type: "receipt"; readonly promptId: string }
  /** Whether the text that waits goes on in the middle of the text before it. */
  | { readonly type: "join"; readonly isSeam: boolean }
  /** A hook of the user's has refused the message. `reason` is for the person; with `isKept` claude has it all the same. */
  | { readonly type: "refused"; readonly reason: string; readonly isKept: boolean }
  /** What claude has recorded of the model request that failed, null when it could not be read. `now` is Unix time in ms. */
  | { readonly type: "failure"; readonly record: FailedTurn | null; readonly now: number }
  /** What the transcript says, null when it could not be read. */
  | { readonly type: "transcript"; readonly texts: readonly string[] | null; readonly usage: Usage | null }
  /** The turn shall end before claude does; `error` is for the client, null when it has left. */
  | { readonly type: "interrupt"; readonly error: RequestError | null }
  /** claude's record shows that it has stopped working. */
  | { readonly type: "idle" }
  /** The turn cannot go on: its process is gone, or has never taken the message. */
  | { readonly type: "fail"; readonly error: RequestError };

export type TurnOutput =
  /** claude has the message; under which prompt is not known where only its reply says so. */
  | { readonly type: "received"; readonly promptId: string | null }
  | { readonly type: "text"; readonly text: string }
  /** The end of this answer, not of the turn: the client is to bring the results. */
  | { readonly type: "calls"; readonly calls: readonly ToolCall[] }
  /** The end of this answer, not of the turn: the client is to say something. */
  | { readonly type: "parked" }
  /** The result of a call, for claude. */
  | { readonly type: "result"; readonly id: string; readonly result: ToolResult }
  /** The answer is complete; with a `reason` it was cut. */
  | { readonly type: "finish"; readonly reason?: "length" | "content_filter" }
  | { readonly type: "usage"; readonly usage: Usage }
  /** The last for the client: an error, after whatever text there was. */
  | { readonly type: "error"; readonly error: RequestError }
  /** `path` as `Stop` names it; null when no hook has come. */
  | { readonly type: "read_transcript"; readonly path: string | null }
  /** claude's record of the failed request is awaited. */
  | { readonly type: "read_failure"; readonly path: string }
  /** claude has sent something that no client waits for any more. */
  | { readonly type: "unsolicited" }
  /** Tell claude to stop. */
  | { readonly type: "interrupt" }
  /** claude is done with this turn and free for the next. */
  | { readonly type: "free" }
  /** What the client was shown is not how claude's record begins. */
  | { readonly type: "diverged" };

type Step = readonly [state: TurnState, outputs: readonly TurnOutput[]];

/** A receipt whose hook is lost is found in claude's record, after some ten seconds. What came before it is still told. */
const UNCLAIMED_MS = 60_000;
/** OpenClaw asks again when an answer is empty. */
export const NO_ANSWER = "(no answer)";
const NOBODY_WAITS = "The chat's program does not wait for calls any more.";
const REFUSED = "A hook of Claude Code refused this message and gave no reason.";
const NO_RESULT = "The chat's program has sent no result for this call.";

const failure = (text: string): ToolResult => ({ content: [{ type: "text", text }], isError: true });

export const newTurn = (id: string, mode: ReplyMode): TurnState => ({
  mode,
  id,
  phase: "sent",
  promptId: null,
  taken: false,
  answer: emptyAnswer,
  spoken: false,
  silent: false,
  calls: [],
  announced: [],
  held: "",
  isGivenUp: false,
  closing: [],
  unclaimed: [],
  last: undefined,
  pendingStop: null,
  failed: null,
});

/** Calls have come that the client does not have yet. */
export const isCollectingCalls = ({ phase, calls }: TurnState): boolean =>
  phase === "running" && calls.some(({ isOut }) => !isOut);

const isOver = ({ phase }: TurnState): boolean => phase === "done" || phase === "failed" || phase === "interrupted";

export function reduceTurn(state: TurnState, event: TurnEvent): Step {
  switch (event.type) {
    case "hook":
      return takeHook(state, event.hook, event.at, event.mayContinue === true);
    case "reply":
      return takeReply(state, event.content, event.final);
    case "call":
      return takeCall(state, event.call);
    case "call_cancelled":
      return [without(state, event.id), []];
    case "gathered":
      return isCollectingCalls(state) ? park(state, event.isParallel) : [state, []];
    case "resume":
      return resume(state, event.results);
    case "give_up":
      return giveUp(state, event.results, event.why);
    case "press":
      return stopClaude(state);
    case "question":
      return ask(state, event.text);
    case "note":
      return isOver(state) ? [state, []] : speak(state, addNote(state.answer, event.text));
    case "receipt":
      return state.promptId === null && !isOver(state) ? receive(state, event.promptId) : [state, []];
    case "join":
      return settleIfStopped(speak(state, join(state.answer, event.isSeam)));
    case "refused":
      return refuse(state, event.reason, event.isKept);
    case "failure":
      return takeFailure(state, event.record, event.now);
    case "transcript":
      return takeTranscript(state, event.texts, event.usage);
    case "interrupt":
      return interrupt(state, event.error);
    case "idle":
      return goIdle(state);
    case "fail":
      return fail(state, event.error);
  }
}

function takeHook(state: TurnState, hook: HookBody, at: number, mayContinue = false): Step {
  if (isOver(state) || hook.prompt_id === undefined) return [state, []];
  if (state.promptId !== null) {
    if (hook.prompt_id === state.promptId) return takeOurs(state, hook, mayContinue);
    // claude has taken up another prompt: it is done with ours.
    const isNext = hook.hook_event_name === "UserPromptSubmit" && state.pendingStop !== null;
    return isNext ? takeStop(state, state.pendingStop as StopHook) : [state, []];
  }

  if (hook.hook_event_name === "UserPromptSubmit") {
    return channelMessageId(hook.prompt) === state.id ? receive(state, hook.prompt_id) : [state, []];
  }
  const fresh = state.unclaimed.filter((one) => at - one.at < UNCLAIMED_MS);
  return [{ ...state, unclaimed: [...fresh, { at, hook }] }, []];
}

/** claude has the message: the prompt is ours, and so are its hooks that came before. */
function receive(state: TurnState, promptId: string): Step {
  // A reply may have said so before.
  const received: TurnOutput[] = state.taken ? [] : [{ type: "received", promptId }];
  // Interrupted before claude had it: now there is something to interrupt.
  const next: TurnState = { ...state, promptId, taken: true, unclaimed: [] };
  const first: Step =
    state.phase === "interrupting" && !state.taken
      ? [next, [...received, { type: "interrupt" }]]
      : [{ ...next, phase: state.phase === "sent" ? "running" : state.phase }, received];
  const early = state.unclaimed.filter((one) => one.hook.prompt_id === promptId);
  return early.reduce<Step>(([before, outputs], one) => {
    const [after, more] = takeHook(before, one.hook, one.at);
    return [after, [...outputs, ...more]];
  }, first);
}

function takeOurs(state: TurnState, hook: HookBody, mayContinue: boolean): Step {
  switch (hook.hook_event_name) {
    case "MessageDisplay": {
      if (state.mode === "tool" || hook.agent_id !== undefined) return [state, []];
      const { message_id: message, index, final, delta: text } = hook;
      return settleIfStopped(speak(state, appendDelta(state.answer, { message, index, final, text })));
    }
    case "PreToolUse": {
      const { tool_use_id: id } = hook;
      const isOurs = id !== undefined && hook.tool_name.startsWith(TOOL_PREFIX);
      // Whatever has stopped before, goes on.
      const working = state.pendingStop === null ? state : { ...state, pendingStop: null };
      if (!isOurs || state.calls.some((call) => call.id === id)) return [working, []];
      return [{ ...working, announced: [...state.announced, id] }, []];
    }
    case "PostToolUse":
    case "PostToolUseFailure": {
      const next = { ...without(state, hook.tool_use_id), answer: afterTool(state.answer) };
      // The last result that it was to take up before it is told to stop.
      return state.closing.length > 0 && next.closing.length === 0 ? [next, [{ type: "interrupt" }]] : [next, []];
    }
    case "Stop": {
      if (state.phase === "settling" && state.mode === "live") return [state, []];
      const mayBeOverruled = mayContinue && (state.phase === "running" || state.phase === "answered");
      if (mayBeOverruled) return [{ ...state, pendingStop: hook, answer: afterStop(state.answer) }, []];
      return takeStop(state, hook);
    }
    case "StopFailure": {
      // A subagent's model request, as that of a compaction: claude says by itself what comes of it.
      if (hook.agent_id !== undefined) return [state, []];
      if (state.phase === "running" && !state.silent) {
        const failing: TurnState = { ...state, phase: "failing", failed: hook, pendingStop: null };
        return [failing, [{ type: "read_failure", path: hook.transcript_path }]];
      }
      return fail(
        state,
        new RequestError("claude_failed", hook.last_assistant_message ?? "Claude Code could not answer."),
      );
    }
    default:
      return [state, []];
  }
}

/** claude is done with its turn. */
function takeStop(state: TurnState, { last_assistant_message: last, transcript_path: path }: StopHook): Step {
  // Also while it is being interrupted: it was faster, and the turn is done.
  // Of a parked turn nobody can hear any more: somebody else has told claude not to wait.
  const silent = state.silent || state.phase === "parked";
  const stopped: TurnState = { ...state, phase: "settling", silent, last, pendingStop: null };
  const free: TurnOutput[] = state.phase === "settling" ? [] : [{ type: "free" }];
  const [next, outputs] = state.mode === "tool" ? settleReplies(stopped, free) : settle([stopped, free]);
  if (state.phase === "settling") return [next, outputs];
  return [next, [...outputs, { type: "read_transcript", path }]];
}

/**
 * Ends the turn whose message a hook of the user's has refused: its reason is the answer. Where claude has not kept
 * the message, it has not received it.
 */
function refuse(state: TurnState, reason: string, isKept: boolean): Step {
  if (state.phase === "interrupting") return end({ ...state, taken: isKept }, "interrupted");
  if (state.phase !== "running") return [state, []];
  const [spoken, text] = speak({ ...state, taken: isKept }, addNote(state.answer, reason.trim() || REFUSED));
  const [finished, more] = finish(spoken);
  return [finished, [...text, ...more, { type: "free" }]];
}

/** Ends a turn whose model request has failed: with an error, or as an answer that was cut. */
function takeFailure(state: TurnState, record: FailedTurn | null, now: number): Step {
  if (state.phase !== "failing" || !state.failed) return [state, []];
  const { error, last_assistant_message: said } = state.failed;
  const outcome = outcomeOf(record?.failure ?? failureFromHook(error, said), now);
  if (outcome instanceof RequestError) {
    return [{ ...state, phase: "failed", silent: true }, [{ type: "error", error: outcome }, { type: "free" }]];
  }
  const [completed, rest] =
    state.mode === "tool" ? [state.answer, ""] : complete(state.answer, record?.texts ?? null, undefined);
  const [shown, text] = speak(state, [completed, rest]);
  // Where a length was reached what was written is the answer; a refusal is told in any case.
  const isTold = outcome.reason === "content_filter" || !shown.spoken;
  const [told, words] = isTold ? speak(shown, addNote(shown.answer, outcome.message)) : [shown, []];
  const [finished, more] = finish(told, outcome.reason);
  return [finished, [...text, ...words, ...more, { type: "free" }]];
}

/** The answer is what claude sends with the reply tool; the final one ends it, claude may work on. */
function takeReply(state: TurnState, content: string, final: boolean): Step {
  const isParked = state.phase === "parked";
  const waits = state.mode === "tool" && (state.phase === "sent" || state.phase === "running" || isParked);
  if (!waits) return [state, [{ type: "unsolicited" }]];
  // Whoever replies has the message, also when no hook can say so.
  const phase = isParked ? "parked" : "running";
  const [next, text] = speak({ ...state, taken: true, phase }, addNote(state.answer, content));
  const outputs = [...unhooked(state), ...text];
  if (!final || isParked) return [next, outputs];
  const [answered, more] = finish(next);
  return [{ ...answered, phase: "answered" }, [...outputs, ...more]];
}

function takeCall(state: TurnState, call: ToolCall): Step {
  if (state.calls.some(({ id }) => id === call.id)) return [state, []];
  const waits =
    state.phase === "running" || state.phase === "parked" || (state.mode === "tool" && state.phase === "sent");
  if (!waits) return [state, [{ type: "result", id: call.id, result: failure(NOBODY_WAITS) }]];
  const phase = state.phase === "parked" ? "parked" : "running";
  const calls = [...state.calls, { ...call, isOut: false }];
  return [{ ...without(state, call.id), phase, taken: true, calls, pendingStop: null }, unhooked(state)];
}

/** The receipt, where no hook has said so. */
const unhooked = ({ taken }: TurnState): TurnOutput[] => (taken ? [] : [{ type: "received", promptId: null }]);

/** Of a call that is over, or comes now, nothing is awaited. */
function without(state: TurnState, id: string | undefined): TurnState {
  const { calls, announced, closing } = state;
  if (calls.length + announced.length + closing.length === 0) return state;
  const isOther = (other: string) => other !== id;
  return {
    ...state,
    calls: calls.filter((call) => isOther(call.id)),
    announced: announced.filter(isOther),
    closing: closing.filter(isOther),
  };
}

/** Ends the client's answer with the calls that have come. */
function park(state: TurnState, isParallel: boolean): Step {
  const waiting = state.calls.filter(({ isOut }) => !isOut);
  const out = isParallel ? waiting : waiting.slice(0, 1);
  const isNowOut = new Set(out);
  const calls = state.calls.map((call) => (isNowOut.has(call) ? { ...call, isOut: true } : call));
  const parked: TurnState = { ...state, phase: "parked", calls, answer: closeMessage(state.answer), spoken: false };
  return [parked, [{ type: "calls", calls: out.map(({ isOut: _out, ...call }) => call) }]];
}

/** Ends the client's answer with a question. */
function ask(state: TurnState, text: string): Step {
  if (state.phase !== "running" || state.silent) return [state, []];
  const [asked, outputs] = speak(state, addNote(state.answer, text));
  const parked: TurnState = { ...asked, phase: "parked", answer: closeMessage(asked.answer), spoken: false };
  return [parked, [...outputs, { type: "parked" }]];
}

/** Goes on, for a client that has brought what was waited for. */
function resume(state: TurnState, results: ToolResults): Step {
  if (state.phase !== "parked") return [state, []];
  const out = state.calls.filter(({ isOut }) => isOut);
  const calls = state.calls.filter(({ isOut }) => !isOut);
  const given = out.map(
    ({ id }): TurnOutput => ({ type: "result", id, result: results.get(id) ?? failure(NO_RESULT) }),
  );
  const text: TurnOutput[] = state.held === "" ? [] : [{ type: "text", text: state.held }];
  return [{ ...state, phase: "running", calls, held: "", spoken: text.length > 0 }, [...given, ...text]];
}

/** Ends a parked turn: claude is told to stop when it has taken up the results. */
function giveUp(state: TurnState, results: ToolResults, why: string): Step {
  if (state.phase !== "parked") return [state, []];
  const given = state.calls.map(
    ({ id }): TurnOutput => ({ type: "result", id, result: results.get(id) ?? failure(why) }),
  );
  const closing = state.calls.map(({ id }) => id);
  const next: TurnState = {
    ...state,
    phase: "interrupting",
    silent: true,
    isGivenUp: true,
    calls: [],
    announced: [],
    closing,
  };
  return [next, closing.length > 0 ? given : [{ type: "interrupt" }]];
}

/** claude has had its time, unless it has come to an end by itself. */
function stopClaude(state: TurnState): Step {
  if (state.phase !== "interrupting" || state.closing.length === 0) return [state, []];
  return [{ ...state, closing: [] }, [{ type: "interrupt" }]];
}

/** Ends a turn in tool mode that has stopped: without a final reply claude's last words are the answer. */
function settleReplies(state: TurnState, outputs: readonly TurnOutput[]): Step {
  const [spoken, text] = speak(state, state.last?.trim() ? addNote(state.answer, state.last) : [state.answer, ""]);
  const [finished, more] = finish(spoken);
  return [finished, [...outputs, ...text, ...more]];
}

/** claude's record shows that it does nothing: a hook may not be allowed to say so. */
function goIdle(state: TurnState): Step {
  // A person at claude's terminal may have ended what waited for the client.
  if (state.phase === "parked") return end({ ...state, silent: true }, "interrupted");
  if (state.phase === "interrupting" && state.taken) return end(state, "interrupted");
  if (state.pendingStop) return takeStop(state, state.pendingStop);
  if (state.phase === "answered") return [{ ...state, phase: "done" }, [{ type: "free" }]];
  if (state.phase !== "running") return [state, []];
  return [{ ...state, phase: "settling" }, [{ type: "free" }, { type: "read_transcript", path: null }]];
}

/** Puts text that the answer has let out among the outputs. */
function speak(state: TurnState, [answer, text]: readonly [Answer, string]): Step {
  if (state.silent || text === "") return [{ ...state, answer }, []];
  if (state.phase === "parked") return [{ ...state, answer, held: state.held + text }, []];
  return [{ ...state, answer, spoken: true }, [{ type: "text", text }]];
}

const settleIfStopped = (step: Step): Step => (step[0].phase === "settling" ? settle(step) : step);

/** Ends a turn that has stopped, if its answer is whole. */
function settle([state, outputs]: Step): Step {
  if (!state.silent && !isWhole(state.answer, state.last)) return [state, outputs];
  const [finished, more] = finish(state);
  return [finished, [...outputs, ...more]];
}

function finish(state: TurnState, reason?: "length" | "content_filter"): Step {
  // After the final reply the client waits for nothing but the figures.
  const done: TurnState = { ...state, phase: "done", silent: state.silent || state.mode === "tool" };
  if (state.silent) return [done, []];
  const end: TurnOutput = { type: "finish", ...(reason === undefined ? {} : { reason }) };
  return [done, [...(state.spoken ? [] : [{ type: "text", text: NO_ANSWER } as const]), end]];
}

function takeTranscript(state: TurnState, texts: readonly string[] | null, usage: Usage | null): Step {
  const figures: TurnOutput[] = usage ? [{ type: "usage", usage }] : [];
  if (state.phase === "done") return [state, figures];
  if (state.phase !== "settling") return [state, []];
  if (state.mode === "tool") {
    const [finished, outputs] = settleReplies({ ...state, last: texts?.at(-1) }, []);
    return [finished, [...outputs, ...figures]];
  }
  const [answer, out, diverged] = complete(state.answer, texts, state.last);
  const [spoken, text] = speak(state, [answer, out]);
  const [finished, more] = finish(spoken);
  return [finished, [...text, ...(diverged ? [{ type: "diverged" } as const] : []), ...more, ...figures]];
}

function interrupt(state: TurnState, error: RequestError | null): Step {
  // A client that has its answer may leave; claude works on.
  const may = state.phase === "sent" || state.phase === "running" || (state.phase === "answered" && error !== null);
  if (!may) return [state, []];
  const told: TurnOutput[] = error && state.phase !== "answered" ? [{ type: "error", error }] : [];
  const next: TurnState = {
    ...state,
    phase: "interrupting",
    silent: true,
    calls: [],
    announced: [],
    pendingStop: null,
  };
  // Before its receipt there is nothing to interrupt: a key pressed now would reach an idle prompt.
  return [next, state.phase === "sent" ? told : [...told, { type: "interrupt" }]];
}

function fail(state: TurnState, error: RequestError): Step {
  // After `Stop` nothing can fail any more: the transcript has what is missing. And one failure is enough.
  if (isOver(state) || state.phase === "settling" || state.phase === "failing") return [state, []];
  if (state.pendingStop) return takeStop(state, state.pendingStop);
  if (state.phase === "answered") return [{ ...state, phase: "done" }, [{ type: "free" }]];
  // Whoever asked for the interruption has heard, or has left.
  if (state.silent) return end(state, "interrupted");
  return [{ ...state, phase: "failed", silent: true }, [{ type: "error", error }, { type: "free" }]];
}

const end = (state: TurnState, phase: "interrupted"): Step => [{ ...state, phase }, [{ type: "free" }]];
