/** The tokens of one model call or of several, as Claude Code's transcript counts them. */
export interface Usage {
  /** All input tokens, including those read from the cache. */
  readonly input: number;
  /** The part of `input` that was read from the cache. */
  readonly cached: number;
  readonly output: number;
}
