/**
 * Who may use the page: one-time codes, which `synthesis open` puts into a link, and the tokens for which a page exchanges
 * them. Both are kept as digests, in memory only, so that they end with the server.
 */
import { getLogger } from "@logtape/logtape";
import { type Clock, systemClock } from "../core/clock.ts";
import { RequestError } from "../core/errors.ts";
import { digest, newToken } from "../core/tokens.ts";
import type { PageRole } from "../wire/page.ts";

const log = getLogger(["synthesis", "page"]);

/** How long the link of `synthesis open` can be used, in ms. */
export const CODE_MS = 60_000;
/** How many codes, and how many tokens, are valid at a time. One more ends the oldest. */
const MAX_CODES = 16;
const MAX_TOKENS = 32;
/** How many wrong codes are answered with a 401 within a minute. More are refused before they are looked up. */
const MAX_WRONG = 20;
const WRONG_MS = 60_000;

/** A page that has come in. */
export interface PageSession {
  readonly role: PageRole;
  /** Aborted when its token ends. */
  readonly ended: AbortSignal;
}

interface OpenSession extends PageSession {
  readonly end: AbortController;
}

export class PageAccess {
  readonly #clock: Clock;
  /** By the digest of the code. */
  readonly #codes = new Map<string, { readonly role: PageRole; readonly validUntil: number }>();
  /** By the digest of the token. */
  readonly #sessions = new Map<string, OpenSession>();
  /** When wrong codes were sent, on the monotonic clock, oldest first. */
  #wrongAt: number[] = [];

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** @returns a code that one page can exchange for a token of this role, within a minute */
  createCode(role: PageRole): { readonly code: string; readonly expiresAt: number } {
    const code = newToken();
    this.#codes.set(digest(code), { role, validUntil: this.#clock.now() + CODE_MS });
    endOldest(this.#codes, MAX_CODES);
    return { code, expiresAt: this.#clock.wallTime() + CODE_MS };
  }

  /**
   * Exchanges a code for a token. A wrong, a used and an expired code have the same error.
   * @throws RequestError (`invalid_page_code`; `too_many_attempts` after many wrong ones)
   */
  exchange(code: string): { readonly token: string; readonly role: PageRole } {
    const now = this.#clock.now();
    const id = digest(code);
    const found = this.#codes.get(id);
    // A right code is accepted however many wrong ones other programs send: a code cannot be guessed, and its owner is not locked out.
    if (!found || found.validUntil <= now) throw this.#refusal(now);
    this.#codes.delete(id);
    const token = newToken();
    const end = new AbortController();
    this.#sessions.set(digest(token), { role: found.role, ended: end.signal, end });
    for (const oldest of endOldest(this.#sessions, MAX_TOKENS)) oldest.end.abort("replaced");
    log.info("a page has come in ({role})", { role: found.role });
    return { token, role: found.role };
  }

  /** @returns null for a token that there is not, or is no longer */
  find(token: string): PageSession | null {
    return this.#sessions.get(digest(token)) ?? null;
  }

  /** Ends a token, and what is open with it. @returns false when there is no such token */
  end(token: string): boolean {
    const id = digest(token);
    const session = this.#sessions.get(id);
    if (!session) return false;
    this.#sessions.delete(id);
    session.end.abort("signed out");
    log.info("a page has signed out");
    return true;
  }

  /** Ends all tokens, because the server stops. */
  close(): void {
    for (const session of this.#sessions.values()) session.end.abort("stopped");
    this.#sessions.clear();
    this.#codes.clear();
  }

  #refusal(now: number): RequestError {
    this.#wrongAt = this.#wrongAt.filter((at) => at > now - WRONG_MS);
    const [first = now] = this.#wrongAt;
    if (this.#wrongAt.length >= MAX_WRONG) {
      return new RequestError("too_many_attempts", "Too many wrong codes were sent. Wait a minute and try again.", {
        retryAfter: Math.ceil((first + WRONG_MS - now) / 1000),
      });
    }
    this.#wrongAt.push(now);
    return new RequestError(
      "invalid_page_code",
      "This link cannot be used: it was used already, or it is older than a minute. Run `synthesis open` for a new one.",
    );
  }
}

/** Removes the oldest entries beyond `max`. @returns those that it has removed */
function endOldest<Value>(entries: Map<string, Value>, max: number): Value[] {
  const oldest = [...entries].slice(0, Math.max(0, entries.size - max));
  for (const [key] of oldest) entries.delete(key);
  return oldest.map(([, value]) => value);
}
