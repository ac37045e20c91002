/** What a door gets for a request: when it is under way, and what the client is to be told. */
import type { Usage } from "../openai/chunks.ts";
import { ApiError } from "../openai/errors.ts";

/** How the request found its claude. */
export type Temperature = "warm" | "cold" | "resumed" | "waiting";

export type ReplyPart =
  | { readonly type: "text"; readonly text: string }
  /** The answer is complete. */
  | { readonly type: "finish" }
  | { readonly type: "usage"; readonly usage: Usage }
  | { readonly type: "error"; readonly error: ApiError };

export class Reply {
  /** The turn's id, claude's `message_id`. */
  readonly id = crypto.randomUUID();
  /** Resolves when the message was sent, or waits behind its conversation's turn; rejects when it never will be. */
  readonly opened: Promise<Temperature>;
  /** Everything for the client, in order; it ends when there is no more. Cancelled: the client has left. */
  readonly parts: ReadableStream<ReplyPart>;

  /** What the client was told instead of an end; null when all went well so far. */
  error: ApiError | null = null;

  readonly #opening = Promise.withResolvers<Temperature>();
  readonly #leaving = new AbortController();
  #controller!: ReadableStreamDefaultController<ReplyPart>;
  #opened = false;
  #closed = false;

  /** @param traceId the client's trace, from its `traceparent` header */
  constructor(readonly traceId: string | null) {
    this.opened = this.#opening.promise;
    this.opened.catch(() => {});
    this.parts = new ReadableStream<ReplyPart>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#closed = true;
        this.#leaving.abort();
      },
    });
  }

  /** Aborted when the client has left. */
  get left(): AbortSignal {
    return this.#leaving.signal;
  }

  /** The client has left; nobody reads on. */
  leave(): void {
    // Also ends the loop of a door that still waits for the next part.
    this.close();
    this.#leaving.abort();
  }

  open(temperature: Temperature): void {
    this.#opened = true;
    this.#opening.resolve(temperature);
  }

  put(part: ReplyPart): void {
    if (!this.#closed) this.#controller.enqueue(part);
  }

  /** The last word. Before `open` it is the error of the whole request. */
  fail(error: unknown): void {
    const known =
      error instanceof ApiError ? error : new ApiError("internal_error", "Something went wrong inside synthesis.");
    this.error ??= known;
    if (!this.#opened) this.#opening.reject(known);
    this.put({ type: "error", error: known });
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#controller.close();
  }
}
