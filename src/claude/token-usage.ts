/**
 * How many tokens the model calls of a turn used. Clients use an answer's figures to see how full the context is: that is
 * the input of its last call. The cost of the turn is the sum of all its calls.
 */
import type { ModelUsage, Usage } from "../core/usage.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import { REPLY_TOOL } from "../plugin/reply-tool.ts";

/** One model request that was answered. */
export interface ModelCall {
  readonly model: string;
  readonly usage: Usage;
  /** The part of the input that was written to the cache. */
  readonly cacheWrite: number;
  readonly toolUses: readonly ToolUse[];
  /** The call was made by a sub-agent, which has a context of its own. */
  readonly isSubagent: boolean;
}

interface ToolUse {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly input?: unknown;
}

/** Stands for the tool use that ends an answer in tool mode. Without hooks its id is unknown. */
export const FINAL_REPLY = "final reply";

/** Which model calls of a turn belong to one of its answers. Tool uses are named by Claude Code's ids. */
export interface AnswerSpan {
  /** The tool use that ended the previous answer; null for the first answer of the turn. */
  readonly after: string | null;
  /** The tool use that ends this answer, or `FINAL_REPLY`; null when the answer ends with the turn. */
  readonly end: string | null;
}

const NONE: Usage = { input: 0, cached: 0, output: 0 };

/**
 * The tokens of one answer: the input of its last model call, and the output of all its calls.
 * @param calls all calls of the turn, oldest first
 * @returns null when `calls` does not contain the tool uses of `span`
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

/** The sums of all calls by model. The model of Claude's own last call comes first, those of subagents last. */
export function usageByModel(calls: readonly ModelCall[]): ModelUsage[] {
  const sums = new Map<string, ModelUsage>();
  const own = calls.filter(({ isSubagent }) => !isSubagent);
  for (const { model, usage, cacheWrite } of [...own.toReversed(), ...calls.filter((call) => call.isSubagent)]) {
    const sum = sums.get(model) ?? { model, calls: 0, input: 0, cacheRead: 0, cacheWrite: 0, output: 0, cost: null };
    sums.set(model, {
      ...sum,
      calls: sum.calls + 1,
      input: sum.input + usage.input - usage.cached - cacheWrite,
      cacheRead: sum.cacheRead + usage.cached,
      cacheWrite: sum.cacheWrite + cacheWrite,
      output: sum.output + usage.output,
    });
  }
  return [...sums.values()];
}

/**
 * The usage of a turn by what is recorded of its calls and by the process's own figures. Each of them has something that
 * the other leaves out: the record has answers that were stopped, the figures have summaries of the conversation.
 * @param figures null when the process has none. They count only if they name every recorded model: otherwise the same
 *   tokens could have another name in them
 */
export function completeUsage(recorded: readonly ModelUsage[], figures: readonly ModelUsage[] | null): ModelUsage[] {
  const figuresOf = (model: string) => figures?.find((one) => one.model === model);
  if (!recorded.every(({ model }) => figuresOf(model))) return [...recorded];
  const rest = (figures ?? []).filter((one) => one.output > 0 && !recorded.some(({ model }) => model === one.model));
  return [...recorded.map((one) => largerOf(one, figuresOf(one.model) ?? one)), ...rest];
}

/**
 * The usage of a turn that did not end by itself. The record counts: of an answer that was stopped, the process's figures
 * may have an estimate. They have the cost, and the models that Claude Code used for itself.
 * @param figures those of the process, or what was counted of the turn before
 */
export function interruptedUsage(recorded: readonly ModelUsage[], figures: readonly ModelUsage[]): ModelUsage[] {
  const figuresOf = (model: string) => figures.find((one) => one.model === model);
  const isComparable = recorded.every(({ model }) => figuresOf(model));
  const rest = figures.filter((one) => one.output > 0 && !recorded.some(({ model }) => model === one.model));
  return [
    ...recorded.map((one) => ({ ...one, cost: figuresOf(one.model)?.cost ?? null })),
    ...(isComparable ? rest : []),
  ];
}

const largerOf = (one: ModelUsage, other: ModelUsage): ModelUsage => ({
  ...one,
  input: Math.max(one.input, other.input),
  cacheRead: Math.max(one.cacheRead, other.cacheRead),
  cacheWrite: Math.max(one.cacheWrite, other.cacheWrite),
  output: Math.max(one.output, other.output),
  cost: other.cost,
});

/** The index of the call with this tool use; -1 when there is none. */
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
