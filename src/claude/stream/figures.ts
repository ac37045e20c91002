/** Reads from stream-json what Claude Code tells an interactive user with its status line. */
import type { SessionFigures } from "../../core/session-figures.ts";
import type { ReportedWindow } from "../../limits/account.ts";
import type { StreamLine } from "./protocol.ts";

/**
 * The windows of the plan that a line reports. Claude Code writes such a line after an answer whose figures differ from
 * the last ones.
 */
export function reportedWindows(line: StreamLine): readonly ReportedWindow[] {
  if (line.type !== "rate_limit_event") return [];
  const { unifiedWindows: windows, rateLimitType, utilization, resetsAt } = line.rate_limit_info;
  if (windows) {
    return Object.entries(windows).flatMap(([name, window]) => (window ? [reported(name, window)] : []));
  }
  // Some versions report only the window that is nearest to its limit.
  if (rateLimitType === undefined || utilization === undefined) return [];
  return [reported(rateLimitType, { utilization, resetsAt })];
}

/** `resetsAt` is in seconds. */
const reported = (
  name: string,
  { utilization, resetsAt }: { utilization: number; resetsAt?: number | undefined },
): ReportedWindow => ({
  name,
  // A product of fractions has digits beyond any meaning.
  usedPercent: Math.round(utilization * 1000) / 10,
  resetsAt: resetsAt === undefined ? null : resetsAt * 1000,
});

/** The figures of one process, collected from its lines. Claude Code says nothing here about misses of the cache. */
export class StreamFigures {
  #current: SessionFigures | null = null;
  #input = 0;
  #cached = 0;
  /** What the last model request of the main conversation sent, and the model. */
  #context: { readonly model: string | undefined; readonly tokens: number } | null = null;

  /** Null before the first answer. */
  get current(): SessionFigures | null {
    return this.#current;
  }

  /** @returns whether there are new figures */
  read(line: StreamLine): boolean {
    if (line.type === "assistant" && !line.parent_tool_use_id && line.error === undefined) {
      const { model, usage } = line.message;
      const { input_tokens: input, cache_read_input_tokens: read, cache_creation_input_tokens: written } = usage;
      this.#context = { model, tokens: input + (read ?? 0) + (written ?? 0) };
    }
    if (line.type !== "result" || line.total_cost_usd === undefined) return false;
    const { usage, modelUsage = {}, total_cost_usd: costUsd } = line;
    if (usage) {
      this.#input += usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens;
      this.#cached += usage.cache_read_input_tokens;
    }
    const window = modelUsage[this.#context?.model ?? ""]?.contextWindow;
    this.#current = {
      contextUsedPercent: this.#context && window ? Math.round((this.#context.tokens / window) * 100) : null,
      costUsd,
      cacheHitRatio: this.#input > 0 ? this.#cached / this.#input : null,
      cacheMisses: null,
      lastCacheMissCause: null,
    };
    return true;
  }
}
