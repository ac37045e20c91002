/**
 * What a turn's model calls took, in tokens. A client wants to know how full the context is: that is the input of the
 * last call alone. What the turn cost is the sum of all calls.
 */

import type { Usage } from "../core/usage.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import { REPLY_TOOL } from "../plugin/reply-tool.ts";

/** One answer of the model. */
export interface ModelCall {
  readonly usage: Usage;
  readonly toolUses: readonly ToolUse[];
  /** A subagent's calls fill a context of their own. */
  readonly isSubagent: boolean;
}

interface ToolUse {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly input?: unknown;
}

/** Stands for the tool use that ends an answer in tool mode, whose id no hook may be allowed to tell. */
export const FINAL_REPLY = "final reply";

/** Which of a turn's model calls belong to one of its answers. Tool uses are named by claude's ids. */
export interface AnswerSpan {
  /** The tool use with which the answer before this one ended; null for the turn's first answer. */
  readonly after: string | null;
  /** The tool use with which this answer ends, or `FINAL_REPLY`; null when it ends with the turn. */
  readonly end: string | null;
}

const NONE: Usage = { input: 0, cached: 0, output: 0 };

/**
 * The tokens of one answer: the input of its last model call, and the output of all its calls.
 * @param calls the turn's, oldest first
 * @returns null when the calls that belong to the answer cannot be told
 */
export function answerUsage(calls: readonly ModelCall[], { after, end }: AnswerSpan): Usage | null {
  const own = calls.filter(({ isSubagent }) => !isSubagent);
  const before = after === null ? -1 : callWith(own, after);
  const last = end === null ? own.length - 1 : callWith(own, end);
  const ended = own[last];
  if (!ended || (after !== null && before < 0)) return null;
  const { output } = own.slice(before + 1, last + 1).reduce((sum, { usage }) => add(sum, usage), NONE);
  return { ...ended.usage, output };
}

/** The sum of all calls; null when there are none. */
export const totalUsage = (calls: readonly ModelCall[]): Usage | null =>
  calls.length === 0 ? null : calls.reduce((sum, { usage }) => add(sum, usage), NONE);

/** Where the call with this tool use stands; -1 when it is not there. */
export const callWith = (calls: readonly ModelCall[], toolUse: string): number =>
  calls.findIndex(({ toolUses }) =>
    toolUses.some((use) => (toolUse === FINAL_REPLY ? isFinalReply(use) : use.id === toolUse)),
  );

const isFinalReply = ({ name, input }: ToolUse): boolean =>
  name === TOOL_PREFIX + REPLY_TOOL.name && (input as { final?: unknown } | null | undefined)?.final !== false;

const add = (one: Usage, other: Usage): Usage => ({
  input: one.input + other.input,
  cached: one.cached + other.cached,
  output: one.output + other.output,
});
