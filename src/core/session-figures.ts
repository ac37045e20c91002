/** What Claude Code reports about a conversation beside its text. What it does not say is null. */
export interface SessionFigures {
  /** How much of the model's context window the conversation fills, in percent. */
  readonly contextUsedPercent: number | null;
  /** What the Claude session has cost, in US dollars, as Claude Code calculates it for the process that runs it. */
  readonly costUsd: number | null;
  /** The part of the input that came from the prompt cache, from 0 to 1. */
  readonly cacheHitRatio: number | null;
  /** How often the prompt cache should have had the input and had not. */
  readonly cacheMisses: number | null;
  /** Why the last of these misses happened, as Claude Code names it. */
  readonly lastCacheMissCause: string | null;
}
