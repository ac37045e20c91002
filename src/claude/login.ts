/**
 * Whether Claude Code's login works, as far as the server knows. The evidence: the model answers, the API rejects the login,
 * or `claude auth status` reports what is stored. The newest evidence counts. A stored login proves little: it may have been
 * revoked, and a key is not checked. The login is that of the default workspace: a workspace whose settings name another
 * one proves nothing about it.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../core/clock.ts";
import { isSameLogin } from "./api-key.ts";
import { configFolder } from "./config-folder.ts";
import type { AuthStatus } from "./executable.ts";

/** After a rejection by the API, messages are expected to fail for this long, in ms. Then one has to show it. */
const REJECTION_MS = 5 * 60_000;

/** An answer within this time after the last one proves nothing new, in ms. */
const FRESH_MS = 60_000;

/** What to do when the login is lost. */
export const LOST_LOGIN_ADVICE =
  "Run `claude` in a terminal and use /login, or replace the API key and restart the server. The next answer ends this.";

/** `unknown` until the first evidence. */
export type LoginState = "ok" | "expired" | "unknown";

/** What was stored when the API rejected the login. Another login than this one may work. */
interface Rejected {
  readonly credentials: string;
  /** The first answer of `claude auth status` after the rejection; null before it. */
  report: string | null;
}

export class Login {
  readonly #env: Record<string, string | undefined>;
  readonly #workspace: string;
  readonly #clock: Clock;
  readonly #listeners = new Set<(state: LoginState) => void>();
  #state: LoginState = "unknown";
  #rejected: Rejected | null = null;
  /** When the API last accepted or rejected the login, on the monotonic clock. */
  #testedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param env the environment of Claude Code, which names its configuration folder
   * @param workspace the default one
   */
  constructor(env: Record<string, string | undefined>, workspace: string, clock = systemClock) {
    this.#env = env;
    this.#workspace = workspace;
    this.#clock = clock;
  }

  get state(): LoginState {
    return this.#state;
  }

  /** When the API last accepted or rejected the login, on the monotonic clock. */
  get testedAt(): number {
    return this.#testedAt;
  }

  /**
   * Whether a message would fail, as far as is known. A rejection by the API counts for five minutes only: a key may work
   * again while nothing that is stored has changed, and without messages the server would never learn it.
   */
  get blocksMessages(): boolean {
    if (this.#state !== "expired") return false;
    return this.#rejected === null || this.#clock.now() - this.#testedAt < REJECTION_MS;
  }

  /** The model has answered. @param workspace where; null for a process that reads the user's settings only */
  noteAnswer(workspace: string | null): void {
    // The comparison reads files, which not every turn must do.
    if (this.#state === "ok" && this.#clock.now() - this.#testedAt < FRESH_MS) return;
    if (!isSameLogin(workspace, this.#workspace, this.#env)) return;
    this.#testedAt = this.#clock.now();
    this.#rejected = null;
    this.#change("ok");
  }

  /** The API has rejected the login, or Claude Code could not start without one. @param workspace as above */
  noteRejection(workspace: string | null): void {
    if (!isSameLogin(workspace, this.#workspace, this.#env)) return;
    this.#testedAt = this.#clock.now();
    this.#rejected = { credentials: this.#credentials(), report: null };
    this.#change("expired");
  }

  /**
   * `claude auth status` has answered.
   * @param askedAt when it was started, on the monotonic clock: the API's own answer since then is newer
   */
  noteReport(report: AuthStatus, askedAt: number): void {
    if (askedAt < this.#testedAt) return;
    if (!isLoggedIn(report, this.#clock.wallTime())) {
      this.#rejected = null;
      this.#change("expired");
    } else if (this.#state === "expired" && this.#isAnotherLogin(JSON.stringify(report))) {
      this.#rejected = null;
      this.#change("ok");
    }
  }

  /** Calls the listener after each change of the state. */
  onChange(listener: (state: LoginState) => void): void {
    this.#listeners.add(listener);
  }

  #isAnotherLogin(report: string): boolean {
    if (this.#rejected === null || this.#rejected.credentials !== this.#credentials()) return true;
    this.#rejected.report ??= report;
    return this.#rejected.report !== report;
  }

  /** Changes with each login and each refresh of its token, except on macOS, where the keychain has them. */
  #credentials(): string {
    try {
      const stats = statSync(join(configFolder(this.#env), ".credentials.json"));
      return [stats.ino, stats.size, stats.mtimeMs].join(" ");
    } catch {
      // There is no file, or it cannot be read: then Claude Code's own report has to show another login.
      return "";
    }
  }

  #change(state: LoginState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

/**
 * Whether a login is stored that has not expired. Claude Code reports an expired one as logged in, too.
 * @param now Unix time in ms
 */
export function isLoggedIn({ loggedIn, loginExpiresAt }: AuthStatus, now: number): boolean {
  const end = Date.parse(loginExpiresAt ?? "");
  return loggedIn && !(end <= now);
}
