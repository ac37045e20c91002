/** Finds the parts of one turn in the rows of a transcript. All functions are pure; `reader.ts` waits for their results. */
import { TOOL_PREFIX } from "../../plugin/manifest.ts";
import { type ModelFailure, readFailureRow } from "../model-failure.ts";
import { callWith, type ModelCall } from "../token-usage.ts";
import { isInterruptionRow, isTurnBreak, isTurnEnd, parseRow, type Row, rowsOfTurn } from "./rows.ts";
import { textsOfTurn } from "./turn-texts.ts";

export interface TurnRecord {
  /** The text of each assistant message, in order. See `textsOfTurn`. */
  readonly texts: readonly string[];
  /** How many Stop hooks ran at the end of the turn, ours included; null when that is not recorded. */
  readonly stopHooks: number | null;
  /** Oldest first. The calls of sub-agents, which have files of their own, come last. */
  readonly calls: readonly ModelCall[];
}

/** The record of one turn. @returns null while `jsonl` does not contain all of it */
export function findTurn(jsonl: string, messageId: string): TurnRecord | null {
  const rows = [...rowsOfTurn(jsonl, messageId)];
  if (!rows.some(isTurnEnd)) return null;
  let stopHooks: number | null = null;
  for (const row of rows) if (row.type === "system") stopHooks = row.hookCount ?? stopHooks;
  return { texts: textsOfTurn(rows), stopHooks, calls: modelCalls(rows) };
}

/** The model that Claude Code names in messages of its own, for example about a failed request. They use no tokens. */
const SYNTHETIC_MODEL = "<synthetic>";

/** The model calls in these rows, oldest first. */
export function modelCalls(rows: Iterable<Row>): ModelCall[] {
  const calls = new Map<string, ModelCall>();
  for (const row of rows) {
    if (row.type !== "assistant" || row.isApiErrorMessage || row.message.model === SYNTHETIC_MODEL) continue;
    const { id, model = "", content, usage } = row.message;
    const cached = usage.cache_read_input_tokens ?? 0;
    const cacheWrite = usage.cache_creation_input_tokens ?? 0;
    const input = usage.input_tokens + cached + cacheWrite;
    const toolUses = content.filter(({ type }) => type === "tool_use");
    calls.set(id, {
      model,
      cacheWrite,
      // Every row of a message has its usage; only the last row's is complete.
      usage: { input, cached, output: usage.output_tokens },
      toolUses: [...(calls.get(id)?.toolUses ?? []), ...toolUses],
      isSubagent: row.isSidechain === true,
    });
  }
  return [...calls.values()];
}

/**
 * The model calls of a turn that may still run.
 * @param end the tool use up to which calls are wanted, as in `AnswerSpan`
 * @returns null while `jsonl` does not contain the call with this tool use or, if `end` is null, the end of the turn
 */
export function findModelCalls(jsonl: string, messageId: string, end: string | null): readonly ModelCall[] | null {
  const rows = [...rowsOfTurn(jsonl, messageId)];
  const calls = modelCalls(rows);
  const isComplete = end === null ? rows.some((row) => isTurnEnd(row) || isTurnBreak(row)) : callWith(calls, end) >= 0;
  return isComplete ? calls : null;
}

/**
 * The ids of all calls of client tools in the message that contains the call `callId`. Claude Code records a message
 * when it is complete.
 * @returns null while the message is not in `jsonl`
 */
export const findCalls = (jsonl: string, messageId: string, callId: string): readonly string[] | null =>
  callsTogetherWith(rowsOfTurn(jsonl, messageId), callId);

/** As `findCalls`, in the rows of one turn. */
export function callsTogetherWith(rows: Iterable<Row>, callId: string): readonly string[] | null {
  const calls = new Map<string, string[]>();
  for (const row of rows) {
    if (row.type !== "assistant") continue;
    const { id, content } = row.message;
    const ids = content.flatMap(({ type, id: call, name }) =>
      type === "tool_use" && call !== undefined && name?.startsWith(TOOL_PREFIX) ? [call] : [],
    );
    calls.set(id, [...(calls.get(id) ?? []), ...ids]);
  }
  return [...calls.values()].find((ids) => ids.includes(callId)) ?? null;
}

/** A hook of the user's rejected the message. */
export interface RefusedPrompt {
  /** The hook's reason, for the person; empty when it gave none. */
  readonly reason: string;
  /** Claude has the message in its context nevertheless. */
  readonly isKept: boolean;
}

/** Whether a `UserPromptSubmit` hook rejected the message. @returns null when `jsonl` does not say so */
export function findRefusedPrompt(jsonl: string, messageId: string): RefusedPrompt | null {
  for (const row of rowsOfTurn(jsonl, messageId)) {
    if (row.type === "system" && row.promptSubmitEnding) {
      return { reason: row.promptSubmitEnding.ending.reason, isKept: true };
    }
  }
  // A message that is not kept has no row of its own. The row of the rejection quotes it.
  for (const line of jsonl.split("\n")) {
    if (!line.includes("promptSubmitEnding") || !line.includes(messageId)) continue;
    const row = parseRow(line);
    const ending = row?.type === "system" ? row.promptSubmitEnding : undefined;
    if (ending) return { reason: ending.ending.reason, isKept: ending.promptKept };
  }
  return null;
}

/** The record of a turn whose last model request failed. */
export interface FailedTurn {
  readonly failure: ModelFailure;
  /** As in a `TurnRecord`. */
  readonly texts: readonly string[];
}

/** The failure of a turn. @returns null when `jsonl` contains none */
export const findFailure = (jsonl: string, messageId: string): FailedTurn | null =>
  failureIn([...rowsOfTurn(jsonl, messageId)]);

/** As `findFailure`, in the rows of one turn. */
export function failureIn(rows: readonly Row[]): FailedTurn | null {
  const failed = rows.findLast((row) => row.type === "assistant" && row.isApiErrorMessage && !row.isSidechain);
  const failure = failed ? readFailureRow(failed) : null;
  return failure ? { failure, texts: textsOfTurn(rows) } : null;
}

/** Whether Claude Code has recorded that this turn was interrupted. @returns null when `jsonl` does not say so */
export function findInterruption(jsonl: string, messageId: string): true | null {
  for (const row of rowsOfTurn(jsonl, messageId)) {
    if (row.type === "user" && isInterruptionRow(row)) return true;
  }
  return null;
}
