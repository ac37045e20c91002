/** What a turn is made of for its reducer: its state, the events that change it, and what a change asks for. */

import type { FailedTurn } from "../claude/transcript/turn-record.ts";
import type { RequestError } from "../core/errors.ts";
import type { ToolCall } from "../core/tools.ts";
import type { Usage } from "../core/usage.ts";
import type { ReplyMode, ToolContent } from "../wire/frames.ts";
import type { HookBody } from "../wire/hooks.ts";
import { type Answer, emptyAnswer } from "./text-assembler.ts";

/**
 * - `sent`: the plugin has the message, and there is no receipt yet
 * - `running`: Claude works on it
 * - `parked`: the client's answer ended with tool calls or a question, and Claude waits for the client's next request
 * - `answered`: the client has its answer, and Claude still works (tool mode)
 * - `settling`: Claude has stopped, and some of its text has not arrived yet
 * - `failing`: Claude's model request has failed, and Claude's record of the failure is awaited
 * - `interrupting`: Claude must stop: its interrupt was sent, or waits for the receipt or for results to be recorded
 * - `done`, `failed`, `interrupted`: the turn has ended; only its token usage may follow
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

/** A call of one of the client's tools that has no result yet. */
interface PendingCall extends ToolCall {
  /** The client has received the call. */
  readonly isWithClient: boolean;
}

export interface ToolResult {
  readonly content: readonly ToolContent[];
  readonly isError: boolean;
}
/** Tool results by Claude's ids of the calls. */
export type ToolResults = ReadonlyMap<string, ToolResult>;

export interface TurnState {
  readonly mode: ReplyMode;
  /** The `message_id` in the channel's meta. */
  readonly id: string;
  readonly phase: Phase;
  readonly promptId: string | null;
  /** Claude has received the message: a hook, its transcript, a reply or a tool call proves it. */
  readonly received: boolean;
  readonly answer: Answer;
  /** The client has received text of its present answer. */
  readonly hasSentText: boolean;
  /** Nothing more is sent to the client: it has disconnected, or its answer has ended with an error. */
  readonly silent: boolean;
  /** Calls without a result, in the order in which Claude made them. */
  readonly calls: readonly PendingCall[];
  /** Claude's ids of the calls that a hook has announced and the plugin has not sent yet. */
  readonly announced: readonly string[];
  /** Text that is held for the client's next request, since the client has none open. */
  readonly heldText: string;
  /** A hook of the user's has refused the message, so the answer is not the model's. */
  readonly isRefused: boolean;
  /** The turn was abandoned while it was parked. No client receives the end of its answer. */
  readonly isAbandoned: boolean;
  /** Calls whose results Claude is still recording. Claude is interrupted when it has recorded the last one. */
  readonly closingCalls: readonly string[];
  /** Hooks that arrived before the receipt, oldest first. The receipt shows which of them belong to this turn. */
  readonly unclaimed: readonly { readonly at: number; readonly hook: HookBody }[];
  /** `last_assistant_message` of the `Stop` hook. */
  readonly lastMessage: string | undefined;
  /** A `Stop` that another hook may overrule. The turn ends with it when Claude is idle. */
  readonly pendingStop: StopHook | null;
  /** The `StopFailure` hook that ends the turn. */
  readonly stopFailure: StopFailureHook | null;
}

export type StopHook = HookBody & { readonly hook_event_name: "Stop" };
type StopFailureHook = HookBody & { readonly hook_event_name: "StopFailure" };

export type TurnEvent =
  /**
   * A hook of Claude's. `at` is its time of arrival, in ms of the monotonic clock. `mayContinue` is true for a `Stop`
   * after which another Stop hook may keep Claude working.
   */
  | { readonly type: "hook"; readonly hook: HookBody; readonly at: number; readonly mayContinue?: boolean }
  /** Claude has called the reply tool (tool mode). */
  | { readonly type: "reply"; readonly content: string; readonly final: boolean }
  /** Claude has called one of the client's tools. */
  | { readonly type: "call"; readonly call: ToolCall }
  /** Claude no longer waits for the result of a call. */
  | { readonly type: "call_cancelled"; readonly id: string }
  /**
   * All calls of one message have arrived. `order` has their ids as the model wrote them, as far as this is known. With
   * `isParallel` false the client receives them one by one.
   */
  | { readonly type: "calls_collected"; readonly order: readonly string[]; readonly isParallel: boolean }
  /** The client's next request has arrived. A call that the client has, and that has no result here, gets an error. */
  | { readonly type: "resume"; readonly results: ToolResults }
  /** A parked turn must end. Calls without a result here get an error with `why`. */
  | { readonly type: "abandon"; readonly results: ToolResults; readonly why: string }
  /** Claude has had enough time to record the results with which the turn was abandoned. */
  | { readonly type: "closing_timeout" }
  /** The client's answer ends with a question, and the turn waits for the client's reply to it. */
  | { readonly type: "ask_client"; readonly text: string }
  /** A text of ours for the client, a paragraph of its own in Claude's text. */
  | { readonly type: "note"; readonly text: string }
  /** The transcript proves that Claude has received the message, though its hook never arrived. */
  | { readonly type: "receipt"; readonly promptId: string }
  /** How the message that waits starts: it continues the text before it without a break, or is a paragraph of its own. */
  | { readonly type: "join"; readonly isContinuation: boolean }
  /** The stream of the model's answer has broken off, and Claude Code requests the answer again. */
  | { readonly type: "broken_off" }
  /** A hook of the user's has refused the message. `isKept` says whether Claude still has the message in its context. */
  | { readonly type: "refused"; readonly reason: string; readonly isKept: boolean }
  /** Claude's record of the failed model request, null when it could not be read. `now` is Unix time in ms. */
  | { readonly type: "failure"; readonly record: FailedTurn | null; readonly now: number }
  /** The transcript's texts of this turn, null when they could not be read. */
  | { readonly type: "transcript"; readonly texts: readonly string[] | null; readonly usage: Usage | null }
  /** The turn must end before Claude has finished. `error` is for the client, null when it has disconnected. */
  | { readonly type: "interrupt"; readonly error: RequestError | null }
  /** Claude's own files show that it has stopped working. */
  | { readonly type: "idle" }
  /** The turn cannot continue: its process has exited, or Claude has never received the message. */
  | { readonly type: "fail"; readonly error: RequestError };

export type TurnOutput =
  /** Claude has received the message. `promptId` is null where a reply or a call proves it, and no hook. */
  | { readonly type: "received"; readonly promptId: string | null }
  | { readonly type: "text"; readonly text: string }
  /** The client's answer ends with these calls, and the turn waits for their results. */
  | { readonly type: "calls"; readonly calls: readonly ToolCall[] }
  /** The client's answer ends with a question, and the turn waits for the reply. */
  | { readonly type: "question_asked" }
  /** The result of a call, for Claude. */
  | { readonly type: "result"; readonly id: string; readonly result: ToolResult }
  /** The answer is complete; a `reason` says why Claude's model was cut off. */
  | { readonly type: "finish"; readonly reason?: "length" | "content_filter" }
  | { readonly type: "usage"; readonly usage: Usage }
  /** The answer ends with an error, after the text that it has so far. */
  | { readonly type: "error"; readonly error: RequestError }
  /** Read the transcript. `path` is the one that `Stop` names; null when no hook has arrived. */
  | { readonly type: "read_transcript"; readonly path: string | null }
  /** Read Claude's record of the failed model request. */
  | { readonly type: "read_failure"; readonly path: string }
  /** Claude has sent a reply that no client waits for. */
  | { readonly type: "unsolicited" }
  /** Interrupt Claude. */
  | { readonly type: "interrupt" }
  /** Claude has finished with this turn and is free for the next. */
  | { readonly type: "free" }
  /** The client has received a text that differs from the transcript's. */
  | { readonly type: "diverged" };

/** The text of an answer in which Claude has written nothing. OpenClaw retries a request whose answer is empty. */
export const NO_ANSWER = "(no answer)";

export const newTurn = (id: string, mode: ReplyMode): TurnState => ({
  mode,
  id,
  phase: "sent",
  promptId: null,
  received: false,
  answer: emptyAnswer,
  hasSentText: false,
  silent: false,
  calls: [],
  announced: [],
  heldText: "",
  isRefused: false,
  isAbandoned: false,
  closingCalls: [],
  unclaimed: [],
  lastMessage: undefined,
  pendingStop: null,
  stopFailure: null,
});

/** Calls have arrived that the client does not have yet. */
export const isCollectingCalls = ({ phase, calls }: TurnState): boolean =>
  phase === "running" && calls.some(({ isWithClient }) => !isWithClient);

/** Claude works on the turn, or waits for its client. */
export const isUnderWay = ({ phase }: TurnState): boolean =>
  phase === "running" || phase === "parked" || phase === "answered";

/** Claude may not have the message yet. */
export const awaitsReceipt = ({ phase, received }: TurnState): boolean =>
  !received && (phase === "sent" || phase === "interrupting");

type EndPhase = "done" | "failed" | "interrupted";
export const hasEnded = (state: TurnState): state is TurnState & { readonly phase: EndPhase } =>
  state.phase === "done" || state.phase === "failed" || state.phase === "interrupted";
