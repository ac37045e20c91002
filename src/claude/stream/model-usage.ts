/**
 * The tokens and the cost of each model, as Claude Code reports them with a result: of all its calls, those of subagents
 * and those that it makes for itself included. It counts up over the whole process.
 */
import { addedUsage, type ModelUsage } from "../../core/usage.ts";
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

/**
 * What the newest turn of a process has used, by the figures that count up over the process. What Claude Code used
 * between two turns, for example for a background task, counts for the later one.
 */
export class TurnFigures {
  /** What the process had used before the turn; null when that is unknown. */
  #before: readonly ModelUsage[] | null;
  #now: readonly ModelUsage[] | null;
  #messages: readonly string[] = [];

  /** @param isResumed the figures go on from those of an earlier process, which are unknown until the first result */
  constructor(isResumed: boolean) {
    this.#before = isResumed ? null : [];
    this.#now = this.#before;
  }

  read(line: StreamLine): void {
    if (line.type !== "result" || line.user_message_uuids.length === 0) return;
    const isSameTurn = line.user_message_uuids.some((id) => this.#messages.includes(id));
    if (!isSameTurn) this.#before = this.#now;
    this.#messages = line.user_message_uuids;
    this.#now = readModelUsage(line);
  }

  /** The figures of a turn; null when they are unknown. @param messageId the message that began the turn */
  of(messageId: string): readonly ModelUsage[] | null {
    const before = this.#before;
    if (before === null || this.#now === null || !this.#messages.includes(messageId)) return null;
    return this.#now.map((now) => {
      const earlier = before.find(({ model }) => model === now.model);
      return earlier ? addedUsage(now, earlier, -1) : now;
    });
  }
}
