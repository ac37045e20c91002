/** What a door gets for a request: when its answer has begun, and what the client is to be told. */

import { setImmediate } from "node:timers/promises";
import { RequestError, unexpected } from "../core/errors.ts";
import type { ToolCall } from "../core/tools.ts";
import type { Usage } from "../core/usage.ts";
import { storeError } from "../store/faults.ts";

/** How the request found its claude. */
export type ProcessOrigin = "warm" | "cold" | "spare" | "resumed" | "waiting";

export type ResponsePart =
  | { readonly type: "text"; readonly text: string }
  /** What claude does on the way. */
  | { readonly type: "progress"; readonly text: string }
  /** The answer ends with these: the client is to bring their results. */
  | { readonly type: "calls"; readonly calls: readonly ToolCall[] }
  /** The answer is complete; with a `reason` it was cut. */
  | { readonly type: "finish"; readonly reason?: "length" | "content_filter" }
  | { readonly type: "usage"; readonly usage: Usage }
  | { readonly type: "error"; readonly error: RequestError };

export class ResponseStream {
  /** The turn's id, claude's `message_id`. */
  readonly id = crypto.randomUUID();
  /**
   * Resolves when there is something for the client, or claude uses a tool, or `openAfter`'s time is over: then the
   * answer has begun. Rejects when it ends with an error before that, which can still be the response's status.
   */
  readonly opened: Promise<void>;
  /** How the request found its claude; `waiting` while it has not. */
  processOrigin: ProcessOrigin = "waiting";
  /** The message is with claude: from now on something may have been done. */
  isSent = false;
  /** Tools have run for this request. */
  hasRunTools = false;
  /** What the client was told instead of an end; null when all went well so far. */
  error: RequestError | null = null;
  /** All text for the client so far. */
  text = "";
  /** The client left before the end: it may have less than `text`. */
  isTruncated = false;

  readonly #opening = Promise.withResolvers<void>();
  readonly #leaving = new AbortController();
  #preface = "";
  #parts: ResponsePart[] = [];
  #more = Promise.withResolvers<void>();
  #closed = false;

  constructor() {
    this.opened = this.#opening.promise;
    this.opened.catch(() => {});
  }

  /**
   * Everything for the client, in order, for one reader: each time all that is there, so that what comes in
   * quick succession goes out together. Ends when there is no more.
   */
  async *parts(): AsyncGenerator<readonly ResponsePart[]> {
    for (;;) {
      await this.#more.promise;
      // What has reached us in one read is handed on piece by piece; it goes out together.
      await setImmediate();
      const parts = this.#parts;
      const closed = this.#closed;
      this.#parts = [];
      if (!closed) this.#more = Promise.withResolvers();
      if (parts.length > 0) yield parts;
      // Closed before these parts were taken: there can be no others.
      if (closed) return;
    }
  }

  /** Aborted when the client has left. */
  get disconnected(): AbortSignal {
    return this.#leaving.signal;
  }

  /** The client has left; nobody reads on. */
  disconnect(): void {
    if (!this.#closed) this.isTruncated = true;
    // Also ends the loop of a door that still waits for the next part.
    this.close();
    // A request handler may still wait for the beginning.
    this.#opening.reject(new RequestError("turn_interrupted", "The client has disconnected."));
    this.#leaving.abort();
  }

  /** The answer has begun. */
  open(): void {
    this.#opening.resolve();
  }

  /** Opens it after `ms` at the latest, so that its client sees heartbeats. */
  openAfter(ms: number): void {
    const timer = setTimeout(() => this.open(), ms);
    const end = () => clearTimeout(timer);
    this.#opening.promise.then(end, end);
    this.disconnected.addEventListener("abort", end);
  }

  /** Text of ours that goes out in front of the answer. It does not begin the answer: an error may still be the status. */
  preface(text: string): void {
    this.#preface += text;
  }

  push(part: ResponsePart): void {
    if (this.#closed) return;
    if (this.#preface !== "" && part.type !== "error" && part.type !== "usage") {
      const text = this.#preface;
      this.#preface = "";
      this.push({ type: "text", text });
    }
    if (part.type === "text") this.text += part.text;
    // The figures follow an answer that has begun; an error before it has its own way.
    if (part.type !== "error" && part.type !== "usage") this.open();
    const last = this.#parts.at(-1);
    // What goes out together needs one chunk only.
    if (part.type === "text" && last?.type === "text") {
      this.#parts.splice(-1, 1, { type: "text", text: last.text + part.text });
    } else this.#parts.push(part);
    this.#more.resolve();
  }

  /** Ends the answer with an error. Before `open` it is the error of the whole request. */
  fail(error: unknown): void {
    this.report(error);
    this.close();
  }

  /** As `fail`, but the token figures may still follow. */
  report(error: unknown): void {
    const cause = error instanceof RequestError ? error : (storeError(error) ?? unexpected());
    const known = this.hasRunTools ? cause.afterWork() : cause;
    this.error ??= known;
    this.#opening.reject(known);
    this.push({ type: "error", error: known });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#more.resolve();
  }
}
