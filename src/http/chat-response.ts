/** Sends a turn's response to the client: as server-sent events while Claude writes it, or as one JSON body. */
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { Completion } from "../api/openai-chat/chunks.ts";
import { errorBody, errorMessage } from "../api/openai-chat/error-response.ts";
import type { ToolCall } from "../core/tools.ts";
import type { Usage } from "../core/usage.ts";
import type { ResponsePart, ResponseStream } from "../turn/response-stream.ts";
import type { Env } from "./env.ts";
import { restoreIdleTimeout } from "./idle-timeout.ts";

type Parts = AsyncIterable<readonly ResponsePart[]>;

/**
 * The parts for OpenClaw. It repeats a request that ends with an error, and so would repeat everything that Claude has
 * done. Once Claude has the message, an error is therefore sent as text.
 */
export async function* errorsAsText(response: ResponseStream): Parts {
  let hasText = false;
  for await (const parts of response.parts()) {
    yield parts.flatMap((part): ResponsePart[] => {
      // OpenClaw treats this reason as a failed run and shows none of the text.
      if (part.type === "finish" && part.reason === "content_filter") return [{ type: "finish" }];
      if (part.type !== "error" || !response.isSent) {
        hasText ||= part.type === "text";
        return [part];
      }
      const text = `${hasText ? "\n\n" : ""}[synthesis: ${errorMessage(part.error)}]`;
      return [{ type: "text", text }, { type: "finish" }];
    });
  }
}

interface StreamOptions {
  /** The client asked for the token counts, which follow the end of the answer. */
  readonly includeUsage: boolean;
  readonly heartbeatMs: number;
  readonly onDisconnect: () => void;
}

/** Streams the parts as chunks of a completion. An empty chunk is sent whenever `heartbeatMs` pass without one. */
export function streamResponse(
  c: Context<Env>,
  parts: Parts,
  completion: Completion,
  { includeUsage, heartbeatMs, onDisconnect }: StreamOptions,
): Response {
  return streamSSE(c, async (stream) => {
    stream.onAbort(onDisconnect);
    let isWriting = false;
    let lastWriteAt = performance.now();
    // One write for several events: Hono's writeSSE takes one event and costs as much for each.
    const write = async (...events: string[]) => {
      isWriting = true;
      await stream.write(events.map((data) => `data: ${data}\n\n`).join(""));
      isWriting = false;
      lastWriteAt = performance.now();
    };
    const heartbeat = setInterval(() => {
      if (performance.now() - lastWriteAt < heartbeatMs) return;
      if (!isWriting) void write(completion.heartbeat());
      // The client has stopped reading, since the last write is still waiting. Let Bun close the connection.
      else c.env.server.timeout(c.req.raw, 1);
    }, heartbeatMs / 3);
    const isEnd = ({ type }: ResponsePart) =>
      type === "error" || (!includeUsage && (type === "finish" || type === "calls"));
    try {
      // Sent before Claude answers, so that the client knows that the request was accepted.
      await write(completion.role());
      for await (const batch of parts) {
        const end = batch.findIndex(isEnd);
        const isComplete = end >= 0;
        const sent = isComplete ? batch.slice(0, end + 1) : batch;
        const events = sent.flatMap((part) => chunksOf(part, completion, includeUsage));
        if (isComplete) events.push("[DONE]");
        if (events.length > 0) await write(...events);
        if (isComplete) return;
      }
      await write("[DONE]");
    } finally {
      clearInterval(heartbeat);
      restoreIdleTimeout(c);
    }
  });
}

function chunksOf(part: ResponsePart, completion: Completion, includeUsage: boolean): readonly string[] {
  switch (part.type) {
    case "text":
      return [completion.text(part.text)];
    case "progress":
      return [completion.progress(part.text)];
    case "calls":
      return [...completion.calls(part.calls)];
    case "error":
      return [JSON.stringify(errorBody(part.error))];
    case "finish":
      return [completion.finish(part.reason ?? "stop")];
    case "usage": {
      const chunk = includeUsage ? completion.usage(part.usage) : null;
      return chunk === null ? [] : [chunk];
    }
  }
}

/** Waits for all parts and sends them as one completion. @throws RequestError when the response ends with an error */
export async function wholeResponse(c: Context<Env>, parts: Parts, completion: Completion): Promise<Response> {
  let content = "";
  let progress = "";
  let calls: readonly ToolCall[] = [];
  let reason: "stop" | "length" | "content_filter" = "stop";
  let usage: Usage | null = null;
  for await (const batch of parts) {
    for (const part of batch) {
      if (part.type === "error") throw part.error;
      if (part.type === "text") content += part.text;
      if (part.type === "progress") progress += part.text;
      if (part.type === "calls") calls = part.calls;
      if (part.type === "finish") reason = part.reason ?? "stop";
      if (part.type === "usage") usage = part.usage;
    }
  }
  return c.json(completion.whole({ content, progress, calls, reason, usage }));
}
