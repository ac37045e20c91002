/**
 * Watches a node while it answers a request that was sent on. An answer may take long without a byte of it, so the node is
 * asked for a sign of life meanwhile: it may have lost its lease, or be cut off from this node only.
 */
import type { Clock } from "../core/clock.ts";

/** A silent node is asked this often, and has as long to answer. */
const PROBE_MS = 20_000;
/** A node without a sign of life for this long is out of reach. */
const SILENCE_MS = 60_000;

export interface NodeWatch {
  /** Aborted when the node's lease has ended, or it is out of reach. */
  readonly signal: AbortSignal;
  /** Notes a sign of life. */
  heard(): void;
  end(): void;
}

/**
 * @param leaseLeftMs how much is left of the node's lease, as far as this node knows now
 * @param probe asks the node for an answer; rejects when there is none
 */
export function watchNode(
  leaseLeftMs: () => number,
  probe: (signal: AbortSignal) => Promise<unknown>,
  clock: Clock,
): NodeWatch {
  const lost = new AbortController();
  let heardAt = clock.now();
  const heard = () => {
    heardAt = clock.now();
  };

  const ask = () => {
    const deadline = new AbortController();
    const cancel = clock.after(PROBE_MS, () => deadline.abort());
    // Without an answer the silence continues, which is all that matters here.
    void probe(AbortSignal.any([deadline.signal, lost.signal]))
      .then(heard, () => {})
      .finally(cancel);
  };
  const check = () => {
    const silence = clock.now() - heardAt;
    if (leaseLeftMs() <= 0 || silence >= SILENCE_MS) return lost.abort();
    if (silence >= PROBE_MS) ask();
    cancelCheck = checkLater();
  };
  const checkLater = () => clock.after(Math.max(1, Math.min(leaseLeftMs(), PROBE_MS)), check);
  let cancelCheck = checkLater();

  return {
    signal: lost.signal,
    heard,
    end: () => {
      cancelCheck();
      // A probe that is under way ends with it.
      lost.abort();
    },
  };
}
