/** What a door gets for a request: when it is under way, and what the client is to be told. */
import { setImmediate } from "node:timers/promises";
import type { Usage } from "../openai/chunks.ts";
import { ApiError, unexpected } from "../openai/errors.ts";
import type { ToolCall } from "../openai/tools.ts";
import { storeError } from "../store/faults.ts";

/** What waits for so long beyond the time that a start may take, in ms, gets its stream. */
const PATIENCE_MS = 1_000;

/** How the request found its claude. */
export type Temperature = "warm" | "cold" | "spare" | "resumed" | "waiting";

export type ReplyPart =
  | { readonly type: "text"; readonly text: string }
  /** What claude does on the way. */
  | { readonly type: "progress"; readonly text: string }
  /** The answer ends with these: the client is to bring their results. */
  | { readonly type: "calls"; readonly calls: readonly ToolCall[] }
  /** The answer is complete. */
  | { readonly type: "finish" }
  | { readonly type: "usage"; readonly usage: Usage }
  | { readonly type: "error"; readonly error: ApiError };

export class Reply {
  /** The turn's id, claude's `message_id`. */
  readonly id = crypto.randomUUID();
  /** Resolves when the message was sent, or waits behind its conversation's turn; rejects when it never will be. */
  readonly opened: Promise<Temperature>;
  /** The message is with claude: from now on something may have been done. */
  sent = false;
  /** What the client was told instead of an end; null when all went well so far. */
  error: ApiError | null = null;
  /** All text for the client so far. */
  text = "";
  /** The client left before the end: it may have less than `text`. */
  isTruncated = false;

  readonly #opening = Promise.withResolvers<Temperature>();
  readonly #leaving = new AbortController();
  #parts: ReplyPart[] = [];
  #more = Promise.withResolvers<void>();
  #opened = false;
  #closed = false;

  constructor() {
    this.opened = this.#opening.promise;
    this.opened.catch(() => {});
  }

  /**
   * Everything for the client, in order, for one reader: each time all that is there, so that what comes in
   * quick succession goes out together. Ends when there is no more.
   */
  async *parts(): AsyncGenerator<readonly ReplyPart[]> {
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
  get left(): AbortSignal {
    return this.#leaving.signal;
  }

  /** The client has left; nobody reads on. */
  leave(): void {
    if (!this.#closed) this.isTruncated = true;
    // Also ends the loop of a door that still waits for the next part.
    this.close();
    this.#leaving.abort();
  }

  open(temperature: Temperature): void {
    this.#opened = true;
    this.#opening.resolve(temperature);
  }

  /** Opens it when it has waited for longer than a start may take, so that its client sees heartbeats. */
  openLate(readyTimeoutMs: number): void {
    const patience = setTimeout(() => this.open("waiting"), readyTimeoutMs + PATIENCE_MS);
    const end = () => clearTimeout(patience);
    this.#opening.promise.then(end, end);
    this.left.addEventListener("abort", end);
  }

  put(part: ReplyPart): void {
    if (this.#closed) return;
    if (part.type === "text") this.text += part.text;
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
    const known = error instanceof ApiError ? error : (storeError(error) ?? unexpected());
    this.error ??= known;
    if (!this.#opened) this.#opening.reject(known);
    this.put({ type: "error", error: known });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#more.resolve();
  }
}
