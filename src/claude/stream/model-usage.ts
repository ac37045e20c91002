/**
 * The tokens and the cost of each model, as Claude Code reports them with a result: of all its calls, those of subagents
 * and those that it makes for itself included. It counts up over the whole process.
 */
import type { ModelUsage } from "../../core/usage.ts";
import type { StreamLine } from "./protocol.ts";

/** What a process has used so far; null when the line does not say. Single calls are not reported, so `calls` is 0. */
export function readModelUsage(line: StreamLine & { type: "result" }): readonly ModelUsage[] | null {
  if (!line.modelUsage) return null;
  return Object.entries(line.modelUsage).map(([model, figures]) => ({
    model,
    calls: 0,
    input: figures.inputTokens,
    cacheRead: figures.cacheReadInputTokens,
    cacheWrite: figures.cacheCreationInputTokens,
    output: figures.outputTokens,
    cost: figures.costUSD ?? null,
  }));
}
