/** The newest errors that clients have received, for people who watch. They are kept in memory only. */
import type { RequestError } from "../core/errors.ts";
import type { LiveError } from "../wire/live.ts";

const KEPT = 50;

export class RecentErrors {
  #errors: readonly LiveError[] = [];
  #count = 0;

  /** The newest first. */
  get all(): readonly LiveError[] {
    return this.#errors;
  }

  /** @param session the session key; null for a request that names no conversation */
  note({ code, message }: RequestError, session: string | null): void {
    this.#count += 1;
    const error = { id: this.#count, at: Date.now(), session, code, message };
    this.#errors = [error, ...this.#errors].slice(0, KEPT);
  }
}
