/**
 * The life of one turn as a pure reducer: a state and an event give the next state and the outputs to perform.
 *
 * Every hook of Claude's names the prompt it belongs to. The prompt whose `UserPromptSubmit` hook begins with our
 * message's channel tag is this turn's, and that hook is the receipt. Hooks may overtake each other, so hooks that
 * arrive before the receipt are kept until it shows which of them belong to the turn.
 */

import { failureFromText } from "../claude/model-failure.ts";
import type { FailedTurn } from "../claude/transcript/turn-record.ts";
import { RequestError } from "../core/errors.ts";
import type { ToolCall } from "../core/tools.ts";
import type { Usage } from "../core/usage.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import { channelMessageId, type HookBody } from "../wire/hooks.ts";
import { outcomeOf } from "./model-error.ts";
import {
  type Answer,
  addNote,
  afterBreak,
  afterStop,
  afterTool,
  appendDelta,
  closeAnswer,
  completeAnswer,
  isWhole,
  join,
} from "./text-assembler.ts";
import {
  hasEnded,
  isCollectingCalls,
  NO_ANSWER,
  type StopHook,
  type ToolResult,
  type ToolResults,
  type TurnEvent,
  type TurnOutput,
  type TurnState,
} from "./turn-state.ts";

type Step = readonly [state: TurnState, outputs: readonly TurnOutput[]];

/** How long a hook is kept for a receipt. A lost receipt is found in the transcript after some ten seconds. */
const UNCLAIMED_MS = 60_000;
const NO_CLIENT = "The client no longer waits for tool calls.";
const NO_REASON = "A hook of Claude Code refused this message and gave no reason.";
const NO_RESULT = "The client has sent no result for this call.";

const failure = (text: string): ToolResult => ({ content: [{ type: "text", text }], isError: true });

export function reduceTurn(state: TurnState, event: TurnEvent): Step {
  switch (event.type) {
    case "hook":
      return takeHook(state, event.hook, event.at, event.mayContinue === true);
    case "reply":
      return takeReply(state, event.content, event.final);
    case "call":
      return takeCall(state, event.call);
    case "call_cancelled":
      return [withoutCall(state, event.id), []];
    case "calls_collected":
      return isCollectingCalls(state) ? parkOnCalls(state, event.order, event.isParallel) : [state, []];
    case "resume":
      return resume(state, event.results);
    case "abandon":
      return abandon(state, event.results, event.why);
    case "closing_timeout":
      return stopClosing(state);
    case "ask_client":
      return parkOnQuestion(state, event.text);
    case "note":
      return hasEnded(state) ? [state, []] : emit(state, addNote(state.answer, event.text));
    case "receipt":
      return state.promptId === null && !hasEnded(state) ? receive(state, event.promptId) : [state, []];
    case "join":
      return settleIfStopped(emit(state, join(state.answer, event.isContinuation)));
    case "broken_off":
      return [{ ...state, answer: afterBreak(state.answer) }, []];
    case "refused":
      return refuse(state, event.reason, event.isKept);
    case "failure":
      return takeFailure(state, event.record, event.now);
    case "transcript":
      return takeTranscript(state, event.texts, event.usage);
    case "interrupt":
      return interrupt(state, event.error);
    case "idle":
      return takeIdle(state);
    case "fail":
      return fail(state, event.error);
  }
}

function takeHook(state: TurnState, hook: HookBody, at: number, mayContinue = false): Step {
  if (hasEnded(state) || hook.prompt_id === undefined) return [state, []];
  if (state.promptId !== null) {
    if (hook.prompt_id === state.promptId) return takeOwnHook(state, hook, mayContinue);
    // Claude has started on another prompt, so it has finished this one.
    const startsNext = hook.hook_event_name === "UserPromptSubmit" && state.pendingStop !== null;
    return startsNext ? takeStop(state, state.pendingStop as StopHook) : [state, []];
  }

  if (hook.hook_event_name === "UserPromptSubmit") {
    return channelMessageId(hook.prompt) === state.id ? receive(state, hook.prompt_id) : [state, []];
  }
  const recent = state.unclaimed.filter((kept) => at - kept.at < UNCLAIMED_MS);
  return [{ ...state, unclaimed: [...recent, { at, hook }] }, []];
}

/** Notes the receipt: this prompt is the turn's, and so are its hooks that arrived earlier. */
function receive(state: TurnState, promptId: string): Step {
  // A reply or a call may have proved the receipt already.
  const received: TurnOutput[] = state.received ? [] : [{ type: "received", promptId }];
  const next: TurnState = { ...state, promptId, received: true, unclaimed: [] };
  const first: Step =
    // The interruption waited for the receipt, because only now there is work to interrupt.
    state.phase === "interrupting" && !state.received
      ? [next, [...received, { type: "interrupt" }]]
      : [{ ...next, phase: state.phase === "sent" ? "running" : state.phase }, received];
  const earlier = state.unclaimed.filter((kept) => kept.hook.prompt_id === promptId);
  return earlier.reduce<Step>(([before, outputs], kept) => {
    const [after, more] = takeHook(before, kept.hook, kept.at);
    return [after, [...outputs, ...more]];
  }, first);
}

function takeOwnHook(state: TurnState, hook: HookBody, mayContinue: boolean): Step {
  switch (hook.hook_event_name) {
    case "MessageDisplay": {
      if (state.mode === "tool" || hook.agent_id !== undefined) return [state, []];
      const { message_id: message, index, final, delta: text } = hook;
      return settleIfStopped(emit(state, appendDelta(state.answer, { message, index, final, text })));
    }
    case "PreToolUse": {
      const { tool_use_id: id } = hook;
      const isClientTool = id !== undefined && hook.tool_name.startsWith(TOOL_PREFIX);
      // A tool call proves that another hook has overruled the `Stop`.
      const working = state.pendingStop === null ? state : { ...state, pendingStop: null };
      if (!isClientTool || state.calls.some((call) => call.id === id)) return [working, []];
      return [{ ...working, announced: [...state.announced, id] }, []];
    }
    case "PostToolUse":
    case "PostToolUseFailure": {
      const next = { ...withoutCall(state, hook.tool_use_id), answer: afterTool(state.answer) };
      const isLastClosing = state.closingCalls.length > 0 && next.closingCalls.length === 0;
      return isLastClosing ? [next, [{ type: "interrupt" }]] : [next, []];
    }
    case "Stop": {
      if (state.phase === "settling" && state.mode === "live") return [state, []];
      const mayBeOverruled = mayContinue && (state.phase === "running" || state.phase === "answered");
      if (mayBeOverruled) return [{ ...state, pendingStop: hook, answer: afterStop(state.answer) }, []];
      return takeStop(state, hook);
    }
    case "StopFailure": {
      // A subagent's failed request, like a failed compaction, does not end the turn: Claude handles it and works on.
      if (hook.agent_id !== undefined) return [state, []];
      if (state.phase === "running" && !state.silent) {
        const failing: TurnState = { ...state, phase: "failing", stopFailure: hook, pendingStop: null };
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

/** Claude has finished the turn. This wins over an interruption that is under way. */
function takeStop(state: TurnState, { last_assistant_message: lastMessage, transcript_path: path }: StopHook): Step {
  // A parked turn that stops was ended by a person at the terminal. It has no client to send text to.
  const silent = state.silent || state.phase === "parked";
  const stopped: TurnState = { ...state, phase: "settling", silent, lastMessage, pendingStop: null };
  const free: TurnOutput[] = state.phase === "settling" ? [] : [{ type: "free" }];
  const [next, outputs] = state.mode === "tool" ? settleReplies(stopped, free) : settle([stopped, free]);
  if (state.phase === "settling") return [next, outputs];
  return [next, [...outputs, { type: "read_transcript", path }]];
}

/**
 * Ends a turn whose message a hook of the user's has refused, with the hook's reason as the answer. Where Claude does
 * not keep the message, the message counts as not received.
 */
function refuse(state: TurnState, reason: string, isKept: boolean): Step {
  if (state.phase === "interrupting") return endInterrupted({ ...state, received: isKept });
  if (state.phase !== "running" && state.phase !== "sent") return [state, []];
  const note = addNote(state.answer, reason.trim() || NO_REASON);
  const [refused, text] = emit({ ...state, received: isKept, isRefused: true }, note);
  const [finished, end] = finish(refused);
  return [finished, [...text, ...end, { type: "free" }]];
}

/** Ends a turn whose model request has failed: with an error, or as an answer that was cut off. */
function takeFailure(state: TurnState, record: FailedTurn | null, now: number): Step {
  if (state.phase !== "failing" || !state.stopFailure) return [state, []];
  const { error, last_assistant_message: message } = state.stopFailure;
  const outcome = outcomeOf(record?.failure ?? failureFromText(error, message), now);
  if (outcome instanceof RequestError) {
    return [{ ...state, phase: "failed", silent: true }, [{ type: "error", error: outcome }, { type: "free" }]];
  }
  const completed: readonly [Answer, string, ...unknown[]] =
    state.mode === "tool" ? [state.answer, ""] : completeAnswer(state.answer, record?.texts ?? null, undefined);
  const [shown, text] = emit(state, completed);
  // At a length limit the text so far is the answer. A refusal is always explained.
  const needsNote = outcome.reason === "content_filter" || !shown.hasSentText;
  const [noted, note] = needsNote ? emit(shown, addNote(shown.answer, outcome.message)) : [shown, []];
  const [finished, end] = finish(noted, outcome.reason);
  return [finished, [...text, ...note, ...end, { type: "free" }]];
}

/** Takes what Claude sends with the reply tool (tool mode). The final reply ends the answer; Claude may still work. */
function takeReply(state: TurnState, content: string, final: boolean): Step {
  const isParked = state.phase === "parked";
  const isAwaited = state.mode === "tool" && (state.phase === "sent" || state.phase === "running" || isParked);
  if (!isAwaited) return [state, [{ type: "unsolicited" }]];
  const phase = isParked ? "parked" : "running";
  const [next, text] = emit({ ...state, received: true, phase }, addNote(state.answer, content));
  const outputs = [...receiptWithoutHook(state), ...text];
  if (!final || isParked) return [next, outputs];
  const [answered, end] = finish(next);
  return [{ ...answered, phase: "answered" }, [...outputs, ...end]];
}

function takeCall(state: TurnState, call: ToolCall): Step {
  if (state.calls.some(({ id }) => id === call.id)) return [state, []];
  const isAwaited =
    state.phase === "running" || state.phase === "parked" || (state.mode === "tool" && state.phase === "sent");
  if (!isAwaited) return [state, [{ type: "result", id: call.id, result: failure(NO_CLIENT) }]];
  const phase = state.phase === "parked" ? "parked" : "running";
  const calls = [...state.calls, { ...call, isWithClient: false }];
  return [
    { ...withoutCall(state, call.id), phase, received: true, calls, pendingStop: null },
    receiptWithoutHook(state),
  ];
}

/** Claude has used one of our tools, which proves the receipt even where no hook may run. */
const receiptWithoutHook = ({ received }: TurnState): TurnOutput[] =>
  received ? [] : [{ type: "received", promptId: null }];

/** Removes a call from every list of calls that the turn waits for. */
function withoutCall(state: TurnState, id: string | undefined): TurnState {
  const { calls, announced, closingCalls } = state;
  if (calls.length + announced.length + closingCalls.length === 0) return state;
  const isOther = (other: string) => other !== id;
  return {
    ...state,
    calls: calls.filter((call) => isOther(call.id)),
    announced: announced.filter(isOther),
    closingCalls: closingCalls.filter(isOther),
  };
}

/** Ends the client's answer with the calls that have arrived. */
function parkOnCalls(state: TurnState, order: readonly string[], isParallel: boolean): Step {
  // Claude makes the calls of one message at the same time, so they arrive in any order.
  const position = ({ id }: ToolCall): number => (order.includes(id) ? order.indexOf(id) : order.length);
  const waiting = state.calls
    .filter(({ isWithClient }) => !isWithClient)
    .toSorted((one, other) => position(one) - position(other));
  const sent = new Set(isParallel ? waiting : waiting.slice(0, 1));
  const calls = state.calls.map((call) => (sent.has(call) ? { ...call, isWithClient: true } : call));
  const output: TurnOutput = { type: "calls", calls: [...sent].map(({ isWithClient: _, ...call }) => call) };
  return [{ ...park(state), calls }, [output]];
}

/** Ends the client's answer with a question. */
function parkOnQuestion(state: TurnState, text: string): Step {
  if (state.phase !== "running" || state.silent) return [state, []];
  const [asked, outputs] = emit(state, addNote(state.answer, text));
  return [park(asked), [...outputs, { type: "question_asked" }]];
}

const park = (state: TurnState): TurnState => ({
  ...state,
  phase: "parked",
  answer: closeAnswer(state.answer),
  hasSentText: false,
});

/** Continues for the client's next request. */
function resume(state: TurnState, results: ToolResults): Step {
  if (state.phase !== "parked") return [state, []];
  const calls = state.calls.filter(({ isWithClient }) => !isWithClient);
  const given = state.calls
    .filter(({ isWithClient }) => isWithClient)
    .map(({ id }): TurnOutput => ({ type: "result", id, result: results.get(id) ?? failure(NO_RESULT) }));
  const text: TurnOutput[] = state.heldText === "" ? [] : [{ type: "text", text: state.heldText }];
  return [{ ...state, phase: "running", calls, heldText: "", hasSentText: text.length > 0 }, [...given, ...text]];
}

/** Ends a parked turn. Claude is interrupted after it has recorded the results. */
function abandon(state: TurnState, results: ToolResults, why: string): Step {
  if (state.phase !== "parked") return [state, []];
  const given = state.calls.map(
    ({ id }): TurnOutput => ({ type: "result", id, result: results.get(id) ?? failure(why) }),
  );
  const closingCalls = state.calls.map(({ id }) => id);
  const next: TurnState = {
    ...state,
    phase: "interrupting",
    silent: true,
    isAbandoned: true,
    calls: [],
    announced: [],
    closingCalls,
  };
  return [next, closingCalls.length > 0 ? given : [{ type: "interrupt" }]];
}

/** Interrupts Claude although it has not recorded every result. */
function stopClosing(state: TurnState): Step {
  if (state.phase !== "interrupting" || state.closingCalls.length === 0) return [state, []];
  return [{ ...state, closingCalls: [] }, [{ type: "interrupt" }]];
}

/** Claude has become idle without a `Stop` hook: hooks may be forbidden, or this one was lost. */
function takeIdle(state: TurnState): Step {
  // A person at Claude's terminal may have ended the call or the question that the client was asked.
  if (state.phase === "parked") return endInterrupted({ ...state, silent: true });
  if (state.phase === "interrupting" && state.received) return endInterrupted(state);
  if (state.pendingStop) return takeStop(state, state.pendingStop);
  if (state.phase === "answered") return [{ ...state, phase: "done" }, [{ type: "free" }]];
  if (state.phase !== "running") return [state, []];
  return [{ ...state, phase: "settling" }, [{ type: "free" }, { type: "read_transcript", path: null }]];
}

/** Sends the text that the answer has released to the client, or holds it while the client has no open request. */
function emit(state: TurnState, [answer, text]: readonly [Answer, string, ...unknown[]]): Step {
  if (state.silent || text === "") return [{ ...state, answer }, []];
  if (state.phase === "parked") return [{ ...state, answer, heldText: state.heldText + text }, []];
  return [{ ...state, answer, hasSentText: true }, [{ type: "text", text }]];
}

const settleIfStopped = (step: Step): Step => (step[0].phase === "settling" ? settle(step) : step);

/** Ends a turn that has stopped, if its answer is whole. Otherwise the transcript completes it. */
function settle([state, outputs]: Step): Step {
  if (!state.silent && !isWhole(state.answer, state.lastMessage)) return [state, outputs];
  const [finished, end] = finish(state);
  return [finished, [...outputs, ...end]];
}

/** Ends a turn in tool mode that has stopped without a final reply: Claude's last message is the answer. */
function settleReplies(state: TurnState, outputs: readonly TurnOutput[]): Step {
  const last = state.lastMessage?.trim() ? addNote(state.answer, state.lastMessage) : ([state.answer, ""] as const);
  const [shown, text] = emit(state, last);
  const [finished, end] = finish(shown);
  return [finished, [...outputs, ...text, ...end]];
}

function takeTranscript(state: TurnState, texts: readonly string[] | null, usage: Usage | null): Step {
  const figures: TurnOutput[] = usage ? [{ type: "usage", usage }] : [];
  if (state.phase === "done") return [state, figures];
  if (state.phase !== "settling") return [state, []];
  if (state.mode === "tool") {
    const [finished, outputs] = settleReplies({ ...state, lastMessage: texts?.at(-1) }, []);
    return [finished, [...outputs, ...figures]];
  }
  const completed = completeAnswer(state.answer, texts, state.lastMessage);
  const [, , diverged] = completed;
  const [shown, text] = emit(state, completed);
  const [finished, end] = finish(shown);
  return [finished, [...text, ...(diverged ? [{ type: "diverged" } as const] : []), ...end, ...figures]];
}

function finish(state: TurnState, reason?: "length" | "content_filter"): Step {
  // In tool mode the client receives nothing after the final reply but the token usage.
  const done: TurnState = { ...state, phase: "done", silent: state.silent || state.mode === "tool" };
  if (state.silent) return [done, []];
  const end: TurnOutput = { type: "finish", ...(reason === undefined ? {} : { reason }) };
  return [done, [...(state.hasSentText ? [] : [{ type: "text", text: NO_ANSWER } as const]), end]];
}

function interrupt(state: TurnState, error: RequestError | null): Step {
  // A client that has its whole answer may disconnect: Claude finishes its work.
  const isInterruptible =
    state.phase === "sent" || state.phase === "running" || (state.phase === "answered" && error !== null);
  if (!isInterruptible) return [state, []];
  const errors: TurnOutput[] = error && state.phase !== "answered" ? [{ type: "error", error }] : [];
  const next: TurnState = {
    ...state,
    phase: "interrupting",
    silent: true,
    calls: [],
    announced: [],
    pendingStop: null,
  };
  // Without a receipt Claude may be at its prompt, where an interrupt must not arrive. `receive` interrupts it later.
  return [next, state.phase === "sent" ? errors : [...errors, { type: "interrupt" }]];
}

function fail(state: TurnState, error: RequestError): Step {
  // After `Stop` the transcript has the rest of the answer, and a turn fails only once.
  if (hasEnded(state) || state.phase === "settling" || state.phase === "failing") return [state, []];
  if (state.pendingStop) return takeStop(state, state.pendingStop);
  if (state.phase === "answered") return [{ ...state, phase: "done" }, [{ type: "free" }]];
  // The client has had an error already, or has disconnected.
  if (state.silent) return endInterrupted(state);
  return [{ ...state, phase: "failed", silent: true }, [{ type: "error", error }, { type: "free" }]];
}

const endInterrupted = (state: TurnState): Step => [{ ...state, phase: "interrupted" }, [{ type: "free" }]];
