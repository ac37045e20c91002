/** Sends an answer to the client: as server-sent events while Claude writes it, or as one JSON body. */
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { AnswerWriter } from "../api/answer-writer.ts";
import type { CutOff, ResponsePart } from "../core/response-part.ts";
import type { ToolCall } from "../core/tools.ts";
import type { Usage } from "../core/usage.ts";
import type { Env } from "./env.ts";
import { restoreIdleTimeout } from "./idle-timeout.ts";

type Parts = AsyncIterable<readonly ResponsePart[]>;

interface StreamOptions {
  readonly heartbeatMs: number;
  readonly onDisconnect: () => void;
  /** The whole answer was sent, or the client has disconnected. */
  readonly onEnd: () => void;
}

/** Streams the parts as the writer's events. A heartbeat is sent whenever `heartbeatMs` pass without an event. */
export function streamAnswer(
  c: Context<Env>,
  parts: Parts,
  writer: AnswerWriter,
  { heartbeatMs, onDisconnect, onEnd }: StreamOptions,
): Response {
  return streamSSE(c, async (stream) => {
    stream.onAbort(onDisconnect);
    let isWriting = false;
    let lastWriteAt = performance.now();
    // It is sent with the first events, since a write of its own costs as much as they do.
    let start = writer.start();
    // One write for several events: Hono's writeSSE takes one event and costs as much for each.
    const write = async (events: string) => {
      const all = start + events;
      start = "";
      if (all === "") return;
      isWriting = true;
      await stream.write(all);
      isWriting = false;
      lastWriteAt = performance.now();
    };
    const heartbeat = setInterval(() => {
      if (performance.now() - lastWriteAt < heartbeatMs) return;
      if (!isWriting) void write(writer.heartbeat());
      // The client has stopped reading, since the last write is still waiting. Let Bun close the connection.
      else c.env.server.timeout(c.req.raw, 1);
    }, heartbeatMs / 3);
    const isEnd = ({ type }: ResponsePart) =>
      type === "error" || (!writer.hasUsage && (type === "finish" || type === "calls"));
    try {
      for await (const batch of parts) {
        const end = batch.findIndex(isEnd);
        const isComplete = end >= 0;
        const sent = isComplete ? batch.slice(0, end + 1) : batch;
        const events = sent.map((part) => writer.part(part)).join("");
        await write(isComplete ? events + writer.end() : events);
        if (isComplete) return;
      }
      await write(writer.end());
    } finally {
      clearInterval(heartbeat);
      restoreIdleTimeout(c);
      onEnd();
    }
  });
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
