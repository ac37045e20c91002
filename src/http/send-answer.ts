/** Sends an answer to the client: as server-sent events while Claude writes it, or as one JSON body. */
import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { Context } from "hono";
import type { AnswerWriter } from "../api/answer-writer.ts";
import type { CutOff, ResponsePart } from "../core/response-part.ts";
import type { ToolCall } from "../core/tools.ts";
import type { Usage } from "../core/usage.ts";
import type { Env } from "./env.ts";
import { restoreIdleTimeout } from "./idle-timeout.ts";

const log = getLogger(["synthesis", "http"]);

type Parts = AsyncIterable<readonly ResponsePart[]>;

interface StreamOptions {
  readonly heartbeatMs: number;
  readonly onDisconnect: () => void;
  /** The whole answer was sent, or the client has disconnected. */
  readonly onEnd: () => void;
}

/** Streams the parts as the writer's events. A heartbeat is sent whenever `heartbeatMs` pass without an event. */
export async function streamAnswer(
  c: Context<Env>,
  parts: Parts,
  writer: AnswerWriter,
  { heartbeatMs, onDisconnect, onEnd }: StreamOptions,
): Promise<Response> {
  const body = new EventBody(onDisconnect);
  let start = writer.start();
  let lastWriteAt = performance.now();
  // The start is sent with the first events. It takes as long as they do.
  const write = (events: string): Promise<void> | undefined => {
    const all = start + events;
    start = "";
    if (all === "") return undefined;
    lastWriteAt = performance.now();
    return body.write(all);
  };
  // Written and closed at the same time, so that both are one packet.
  const end = (events: string) => {
    // It has no effect once the response is sent.
    restoreIdleTimeout(c);
    void write(events + writer.end());
    body.close();
  };
  const heartbeat = setInterval(() => {
    if (performance.now() - lastWriteAt < heartbeatMs) return;
    if (!body.isWriting) void write(writer.heartbeat());
    // The client has stopped reading, since the last write is still waiting. Let Bun close the connection.
    else c.env.server.timeout(c.req.raw, 1);
  }, heartbeatMs / 3);
  const isEnd = ({ type }: ResponsePart) =>
    type === "error" || (!writer.hasUsage && (type === "finish" || type === "calls"));
  const send = async () => {
    try {
      for await (const batch of parts) {
        const last = batch.findIndex(isEnd);
        const isComplete = last >= 0;
        const sent = isComplete ? batch.slice(0, last + 1) : batch;
        const events = sent.map((part) => writer.part(part)).join("");
        if (isComplete) return end(events);
        await write(events);
      }
      end("");
    } finally {
      clearInterval(heartbeat);
      body.close();
      onEnd();
    }
  };
  send().catch((error) => log.error("answer could not be sent: {error}", { error }));
  // Most answers have begun, and their first events are one packet with the headers.
  await Promise.race([body.begun, setImmediate()]);
  return c.body(body.readable, 200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
}

/** The body of a streamed response. Hono's `streamSSE` costs twice as much, because its text passes three streams. */
class EventBody {
  readonly readable: ReadableStream<Uint8Array>;
  /** Resolves with the first write, and at the end. */
  readonly begun: Promise<void>;
  /** A write waits for the client to read. */
  isWriting = false;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #resume = () => {};
  readonly #begin: () => void;

  /** @param onDisconnect called when the client disconnects before the end */
  constructor(onDisconnect: () => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.begun = promise;
    this.#begin = resolve;
    this.readable = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#resume(),
      cancel: () => {
        this.#controller = null;
        this.#resume();
        onDisconnect();
      },
    });
  }

  /** Writes events. @returns resolves when the client has room for more; undefined when it has room now */
  write(events: string): Promise<void> | undefined {
    const controller = this.#controller;
    controller?.enqueue(this.#encoder.encode(events));
    this.#begin();
    if (!controller || (controller.desiredSize ?? 0) > 0) return undefined;
    this.isWriting = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resume = () => {
      this.isWriting = false;
      resolve();
    };
    return promise;
  }

  /** Ends the response after what was written. */
  close(): void {
    this.#controller?.close();
    this.#controller = null;
    this.#begin();
  }
}

/** Waits for all parts and sends them as one body. @throws RequestError when the answer ends with an error */
export async function wholeAnswer(c: Context<Env>, parts: Parts, writer: AnswerWriter): Promise<Response> {
  let text = "";
  let progress = "";
  let calls: readonly ToolCall[] = [];
  let cutOff: CutOff | null = null;
  let usage: Usage | null = null;
  for await (const batch of parts) {
    for (const part of batch) {
      if (part.type === "error") throw part.error;
      if (part.type === "text") text += part.text;
      if (part.type === "progress") progress += part.text;
      if (part.type === "calls") calls = part.calls;
      if (part.type === "finish") cutOff = part.reason ?? null;
      if (part.type === "usage") usage = part.usage;
    }
  }
  return c.json(writer.whole({ text, progress, calls, cutOff, usage }));
}
