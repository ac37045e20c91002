/** Token counts. */

/** Tokens, as claude's transcript has them: of one answer, or the sum of a turn's model calls. */
export interface Usage {
  /** All input tokens, read from the cache or not. */
  readonly input: number;
  /** Those of `input` that were read from the cache. */
  readonly cached: number;
  readonly output: number;
}
