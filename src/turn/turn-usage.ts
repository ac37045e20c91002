/**
 * The token usage of a turn. A client gets the usage of its answer; the store gets the sum of the turn. The transcript
 * lists the model calls of the whole turn, and the tool use that ends an answer shows where the next one begins.
 */

import {
  type AnswerSpan,
  answerUsage,
  completeUsage,
  FINAL_REPLY,
  interruptedUsage,
  type ModelCall,
  usageByModel,
} from "../claude/token-usage.ts";
import type { ModelUsage, Usage } from "../core/usage.ts";
import type { HookBody } from "../wire/hooks.ts";
import type { StoredTurn } from "./stored-turn.ts";
import type { TranscriptSync } from "./transcript-sync.ts";

/** How long a client that has its answer waits for the usage while Claude works on. */
const USAGE_MS = 500;
/** An id that no tool use has. An answer that ends with it has no known usage, and neither has the one after it. */
const UNKNOWN_TOOL_USE = "unknown";

export class TurnUsage {
  readonly #transcript: TranscriptSync;
  readonly #stored: StoredTurn;
  /** The process's own figures of the turn; null before its end. */
  readonly #reported: () => readonly ModelUsage[] | null;
  /** Claude's ids of the tool uses of subagents. */
  readonly #subagentToolUses = new Set<string>();
  /** The newest tool use that is not a subagent's. */
  #newestToolUse: string | null = null;
  /** The tool use that ended the previous answer; null in the first answer. */
  #previousEnd: string | null = null;
  /** The last answer was stopped. */
  #isInterrupted = false;

  constructor(transcript: TranscriptSync, stored: StoredTurn, reported: () => readonly ModelUsage[] | null) {
    this.#transcript = transcript;
    this.#reported = reported;
    this.#stored = stored;
  }

  /** @param isOwnPrompt the hook belongs to this turn's prompt */
  noteToolUse(hook: HookBody & { hook_event_name: "PreToolUse" }, isOwnPrompt: boolean): void {
    if (hook.tool_use_id === undefined) return;
    if (hook.agent_id !== undefined) this.#subagentToolUses.add(hook.tool_use_id);
    else if (isOwnPrompt) this.#newestToolUse = hook.tool_use_id;
  }

  isSubagentCall(toolUse: string): boolean {
    return this.#subagentToolUses.has(toolUse);
  }

  /** The usage of an answer that ends with these calls. */
  endWithCalls(calls: readonly { readonly id: string }[]): Promise<Usage | null> {
    // A subagent's calls are in none of Claude's own messages. The tool use that runs the subagent is.
    const own = calls.find(({ id }) => !this.isSubagentCall(id))?.id;
    return this.#endAnswer(own ?? this.#newestToolUse ?? UNKNOWN_TOOL_USE);
  }

  /** The usage of an answer that ends with a question. */
  endWithQuestion(): Promise<Usage | null> {
    return this.#endAnswer(this.#newestToolUse ?? UNKNOWN_TOOL_USE);
  }

  /**
   * The usage of an answer that ends with the final reply in tool mode.
   * @param isWanted the client receives it; otherwise the transcript is read only once, at the end of the turn
   */
  async endWithFinalReply(isWanted: boolean): Promise<Usage | null> {
    if (isWanted) return this.#endAnswer(FINAL_REPLY);
    this.#previousEnd = FINAL_REPLY;
    return null;
  }

  /**
   * The usage of the turn's last answer.
   * @param calls of the whole turn
   * @param isFinal Claude has recorded the turn's end
   */
  endTurn(calls: readonly ModelCall[], isFinal = true): Usage | null {
    this.#store(calls, isFinal);
    // What Claude does after its final reply belongs to no answer.
    if (this.#previousEnd === FINAL_REPLY) return null;
    return answerUsage(calls, { after: this.#previousEnd, end: null });
  }

  /** The same for a turn whose end Claude may not record. @param hasExited no more model calls are recorded */
  async endTurnEarly(hasExited: boolean, isInterrupted: boolean): Promise<Usage | null> {
    const calls = await this.#transcript.readModelCalls(null, hasExited ? 0 : USAGE_MS);
    this.#isInterrupted = isInterrupted;
    return calls && this.endTurn(calls, hasExited);
  }

  #endAnswer(toolUse: string): Promise<Usage | null> {
    const span = { after: this.#previousEnd, end: toolUse };
    this.#previousEnd = toolUse;
    return this.#answerUsage(span);
  }

  async #answerUsage(span: AnswerSpan): Promise<Usage | null> {
    const calls = await this.#transcript.readModelCalls(span.end, USAGE_MS);
    if (!calls) return null;
    this.#store(calls, false);
    return answerUsage(calls, span);
  }

  #store(calls: readonly ModelCall[], isFinal: boolean): void {
    const [recorded, reported] = [usageByModel(calls), this.#reported()];
    const usage = this.#isInterrupted ? interruptedUsage(recorded, reported ?? []) : completeUsage(recorded, reported);
    if (usage.length > 0 || isFinal) this.#stored.noteUsage(usage, isFinal);
  }
}
