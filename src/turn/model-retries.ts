/**
 * Ends the wait for a model request that fails again and again. Claude retries a failed request by itself, and after a
 * `retry-after` header it may wait for hours before the next attempt.
 */

import type { ApiActivity } from "../claude/agent-process.ts";
import { failureFromText } from "../claude/model-failure.ts";
import type { Clock } from "../core/clock.ts";
import { RequestError } from "../core/errors.ts";
import { MODEL_RETRY_MS, outcomeOf } from "./model-error.ts";

export class ModelRetries {
  readonly #clock: Clock;
  readonly #onTimeout: (error: RequestError) => void;
  /** When the first of the failed attempts failed, on the monotonic clock; null after an attempt that succeeded. */
  #failingSince: number | null = null;
  #isRequestOpen = false;
  #cancel = () => {};

  /** @param onTimeout called when a request has failed for too long, with the error for the client */
  constructor(clock: Clock, onTimeout: (error: RequestError) => void) {
    this.#clock = clock;
    this.#onTimeout = onTimeout;
  }

  /** @param isLimited whether a failure now counts for the turn */
  note(activity: ApiActivity, isLimited: boolean): void {
    this.close();
    if (activity.what !== "failed") {
      this.#isRequestOpen = activity.what === "requested";
      if (!this.#isRequestOpen) this.#failingSince = null;
      return;
    }
    // Claude also makes requests beside the conversation. Their failures do not hold the turn up.
    if (!this.#isRequestOpen || !isLimited) return;
    const now = this.#clock.now();
    this.#failingSince ??= now;
    const failure = { ...failureFromText("unknown", activity.message), status: activity.status };
    this.#cancel = this.#clock.after(Math.max(this.#failingSince + MODEL_RETRY_MS - now, 0), () => {
      const outcome = outcomeOf(failure, this.#clock.wallTime());
      if (outcome instanceof RequestError) this.#onTimeout(outcome);
    });
  }

  close(): void {
    this.#cancel();
  }
}
