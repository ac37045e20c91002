/** The tokens of one model call or of several, as Claude Code's transcript counts them. */
export interface Usage {
  /** All input tokens, including those read from the cache. */
  readonly input: number;
  /** The part of `input` that was read from the cache. */
  readonly cached: number;
  readonly output: number;
}

/** The tokens of one model, by the kinds that Anthropic bills. */
export interface ModelUsage {
  /** As Anthropic's API names it, such as `claude-opus-4-5-20251101`. */
  readonly model: string;
  /** How many model calls were answered. */
  readonly calls: number;
  /** Input tokens that were neither read from the cache nor written to it. */
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
  /** In US dollars, as Claude Code calculates it; null when Claude Code has not said. */
  readonly cost: number | null;
}

/** The cost of these models together; null when it is known of none. */
export function costOf(used: readonly ModelUsage[]): number | null {
  const known = used.flatMap(({ cost }) => cost ?? []);
  return known.length === 0 ? null : known.reduce((sum, cost) => sum + cost, 0);
}

/** The same usage with a cost more, which is not known by model: the first model has it. */
export const withCost = (used: readonly ModelUsage[], cost: number): readonly ModelUsage[] =>
  used.map((one, at) => (at === 0 ? { ...one, cost: (one.cost ?? 0) + cost } : one));

/** The sum of two usages of one model. @param sign -1 to subtract the second one */
export const addedUsage = (one: ModelUsage, other: ModelUsage, sign: 1 | -1 = 1): ModelUsage => ({
  model: one.model,
  calls: one.calls + sign * other.calls,
  input: one.input + sign * other.input,
  cacheRead: one.cacheRead + sign * other.cacheRead,
  cacheWrite: one.cacheWrite + sign * other.cacheWrite,
  output: one.output + sign * other.output,
  cost: one.cost === null || other.cost === null ? null : one.cost + sign * other.cost,
});
