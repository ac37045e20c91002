/** The response to one client request: a turn writes its parts, and the HTTP route reads and sends them. */

import { setImmediate } from "node:timers/promises";
import { type Clock, systemClock } from "../core/clock.ts";
import { RequestError, unexpected } from "../core/errors.ts";
import type { ResponsePart } from "../core/response-part.ts";
import type { Usage } from "../core/usage.ts";
import { storeError } from "../store/faults.ts";

/** How a request got its agent process; `waiting` while it has none. */
export type ProcessOrigin = "warm" | "cold" | "spare" | "resumed" | "waiting";

/**
 * From one batch of parts to the next at least, in ms, so that a client gets at most 60 chunks of text a second however
 * fast the model writes. Each chunk costs the client a JSON parse, and a person does not see the difference.
 */
const BATCH_MS = 17;

/** Parts of which many may come in a second. Any other part ends the answer, or follows its end. */
const isFrequent = ({ type }: ResponsePart): boolean => type === "text" || type === "progress";

export class ResponseStream {
  /** The id of the request, and of the turn that it starts. */
  readonly id = crypto.randomUUID();
  /** The turn that answers the request, and which of its answers this is: after tool calls a turn has another one. */
  turn: { readonly id: string; readonly answer: number } = { id: this.id, answer: 0 };
  /**
   * Resolves when the answer has begun: with its first part, with Claude's first use of a tool, or after the time that
   * `openAfter` sets. Rejects with an error that comes first, which can still set the HTTP status.
   */
  readonly opened: Promise<void>;
  /** Resolves when Claude has begun to answer, with text, a tool or progress. Never rejects. */
  readonly begun: Promise<void>;
  /** `begun` has resolved. */
  hasBegun = false;
  processOrigin: ProcessOrigin = "waiting";
  /** When the request arrived, as wall time. */
  readonly createdAt: number;
  /** The message was sent to Claude, so Claude may have acted on it. */
  isSent = false;
  /** Tools have run for this request, so a retry would run them again. */
  hasRunTools = false;
  /** The error that the answer ended with; null while there is none. */
  error: RequestError | null = null;
  /** Resolves with that error when there is one. */
  readonly failed: Promise<RequestError>;
  /** From the request to the first text of the answer, in ms; null while there is no text. */
  firstTextMs: number | null = null;
  /** The client receives the token usage. */
  wantsUsage = true;
  /** How the answer has ended; null before its end, and when it ends with an error. */
  end: (ResponsePart & { type: "finish" | "calls" }) | null = null;
  /** All text of the answer so far. */
  text = "";
  /** The client disconnected before the end, so it may have less than `text`. */
  isTruncated = false;
  /** Is awaited before the end of the answer is sent; if it fails, its error takes the place of that end. */
  beforeEnd: (() => Promise<void>) | null = null;
  /** The parts of the client's JSON Schema that the answer was not checked against, each with its JSON pointer. */
  unchecked: readonly string[] = [];

  readonly #clock: Clock;
  /** When the request arrived, on the monotonic clock. */
  readonly #startedAt: number;
  readonly #failing = Promise.withResolvers<RequestError>();
  readonly #opening = Promise.withResolvers<void>();
  readonly #beginning = Promise.withResolvers<void>();
  readonly #disconnection = new AbortController();
  #preface = "";
  #parts: ResponsePart[] = [];
  #more = Promise.withResolvers<void>();
  /** Ends the wait of `parts` for its next batch. */
  #hurry = () => {};
  #closed = false;
  /** What is held back until it is checked; null while nothing is. */
  #held: { text: string; usage: Usage | null } | null = null;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.failed = this.#failing.promise;
    this.createdAt = clock.wallTime();
    this.opened = this.#opening.promise;
    this.opened.catch(() => {});
    this.begun = this.#beginning.promise;
  }

  /**
   * The parts in order, for one reader. Each batch has all parts that are there, so that parts in quick succession are
   * sent together: the first at once, then at most one batch in 17 ms, and the end of the answer at once. A reader that is
   * slow gets all that has gathered. Ends when the response is closed.
   */
  async *parts(): AsyncGenerator<readonly ResponsePart[]> {
    let due = Number.NEGATIVE_INFINITY;
    for (;;) {
      await this.#more.promise;
      const wait = this.#waitUntil(due);
      if (wait) await wait;
      // The usage follows the end of the answer at once if it is known.
      if (this.wantsUsage && this.end !== null && !this.#closed) await setImmediate();
      const parts = this.#parts;
      const closed = this.#closed;
      this.#parts = [];
      if (!closed) this.#more = Promise.withResolvers();
      due = this.#clock.now() + BATCH_MS;
      const end = this.beforeEnd === null ? -1 : parts.findIndex(({ type }) => type === "finish" || type === "calls");
      if (end >= 0) {
        if (end > 0) yield parts.splice(0, end);
        const error = await this.#failureBeforeEnd();
        if (error) {
          yield [{ type: "error", error }];
          return;
        }
      }
      if (parts.length > 0) yield parts;
      // It was closed before these parts were taken, so they are the last.
      if (closed) return;
    }
  }

  /** The error because of which the answer must not end as it has; null when it may. */
  async #failureBeforeEnd(): Promise<RequestError | null> {
    try {
      await this.beforeEnd?.();
      return null;
    } catch (error) {
      return error instanceof RequestError ? error : (storeError(error) ?? unexpected());
    }
  }

  /** Waits until `due`, in ms of the clock, and no longer than until the end of the answer. Undefined for no wait. */
  #waitUntil(due: number): Promise<void> | undefined {
    const ms = due - this.#clock.now();
    if (ms <= 0 || this.#closed || !this.#parts.every(isFrequent)) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#hurry = resolve;
    const cancel = this.#clock.after(ms, resolve);
    return promise.then(cancel);
  }

  /** Aborted when the client has disconnected. */
  get disconnected(): AbortSignal {
    return this.#disconnection.signal;
  }

  /** Notes that the client has disconnected. */
  disconnect(): void {
    if (!this.#closed) this.isTruncated = true;
    this.#held = null;
    // Closing also ends `parts`, in which a reader may be waiting.
    this.close();
    // The route may still be waiting for the answer to begin.
    this.#opening.reject(new RequestError("turn_interrupted", "The client has disconnected."));
    this.#disconnection.abort();
  }

  /** Marks the answer as begun. */
  begin(): void {
    this.hasBegun = true;
    this.#beginning.resolve();
    this.#opening.resolve();
  }

  /** Opens the response after `ms` at the latest, so that its client receives heartbeats. */
  openAfter(ms: number): void {
    const cancel = this.#clock.after(ms, () => this.#opening.resolve());
    this.#opening.promise.then(cancel, cancel);
    this.disconnected.addEventListener("abort", cancel);
  }

  /** Adds a text of ours that is sent before the answer. It does not begin the answer, so an error can still set the status. */
  addPreface(text: string): void {
    this.#preface += text;
  }

  /** Holds back the text and the end of the answer until `release` or an error. Errors and calls are not held back. */
  hold(): void {
    if (!this.#closed) this.#held = { text: "", usage: null };
  }

  /** The text that is held back; null when the answer is not held back, or is no longer. */
  get heldText(): string | null {
    return this.#held?.text ?? null;
  }

  /** Drops the text that is held back. What follows is held back, too. */
  dropHeld(): void {
    if (this.#held) this.#held.text = "";
  }

  /** Ends the answer that was held back with this text in place of the held one. */
  endHeld(text: string): void {
    const usage = this.#held?.usage ?? null;
    // A notice of ours must not be in the JSON.
    if (this.#preface !== "") this.push({ type: "progress", text: this.#preface });
    this.#preface = "";
    this.#held = null;
    this.push({ type: "text", text });
    this.push({ type: "finish" });
    if (usage) this.push({ type: "usage", usage });
    this.close();
  }

  /** Sends the text that is held back, unchecked. */
  release(): void {
    const text = this.#held?.text ?? "";
    this.#held = null;
    if (text !== "") this.push({ type: "text", text });
  }

  /** Keeps a part that is held back. @returns false for a part that is not */
  #hold(part: ResponsePart): boolean {
    if (this.#held === null) return false;
    switch (part.type) {
      case "text":
        this.#held.text += part.text;
        return true;
      case "usage":
        this.#held.usage = withOutputOf(part.usage, this.#held.usage);
        return true;
      case "finish":
        // Of an answer that was cut off the client gets what there is, and the reason.
        if (part.reason === undefined) return true;
        this.release();
        return false;
      case "calls":
        this.release();
        return false;
      case "error":
        this.#held = null;
        return false;
      case "progress":
        return false;
    }
  }

  /** Adds a part. A closed response ignores it. */
  push(part: ResponsePart): void {
    if (this.#closed || this.#hold(part)) return;
    if (this.#preface !== "" && this.#held === null && part.type !== "error" && part.type !== "usage") {
      const text = this.#preface;
      this.#preface = "";
      this.push({ type: "text", text });
    }
    if (part.type === "text") this.#addText(part.text);
    if (part.type === "finish" || part.type === "calls") this.end = part;
    // Usage only follows an answer that has begun. An error that comes first rejects `opened` instead.
    if (part.type !== "error" && part.type !== "usage") this.begin();
    const last = this.#parts.at(-1);
    // Texts of one batch need only one chunk, and so do lines of progress.
    if ((part.type === "text" || part.type === "progress") && part.type === last?.type) {
      this.#parts.splice(-1, 1, { type: part.type, text: last.text + part.text });
    } else this.#parts.push(part);
    this.#more.resolve();
    if (!isFrequent(part)) this.#hurry();
  }

  #addText(text: string): void {
    if (text !== "") this.firstTextMs ??= this.#clock.now() - this.#startedAt;
    this.text += text;
  }

  /** Ends the answer with an error. Before the answer has begun the error can set the HTTP status. */
  fail(error: unknown): void {
    this.sendError(error);
    this.close();
  }

  /** Sends an error as `fail` does, and leaves the response open for the token usage. */
  sendError(error: unknown): void {
    const cause = error instanceof RequestError ? error : (storeError(error) ?? unexpected());
    const reported = this.hasRunTools ? cause.afterWork() : cause;
    this.error ??= reported;
    this.#failing.resolve(this.error);
    this.#opening.reject(reported);
    this.push({ type: "error", error: reported });
  }

  /** Ends the response after the parts so far. An answer that is held back ends with `endHeld` or an error. */
  close(): void {
    if (this.#closed || this.#held) return;
    this.#closed = true;
    this.#more.resolve();
    this.#hurry();
  }
}

/** The usage of an answer that Claude has written twice: the context is that of the second one. */
const withOutputOf = (usage: Usage, before: Usage | null): Usage =>
  before === null ? usage : { ...usage, output: before.output + usage.output };
