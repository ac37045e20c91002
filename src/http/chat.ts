/** `POST /v1/chat/completions`: from a request to a reply, and from the reply to SSE or one JSON body. */
import { zValidator } from "@hono/zod-validator";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { streamSSE } from "hono/streaming";
import type { Config } from "../config/schema.ts";
import type { Conversations } from "../conversation/conversations.ts";
import { identify } from "../conversation/identity.ts";
import type { Reply } from "../conversation/reply.ts";
import { WORKSPACE_HEADER, workspaceFor } from "../conversation/workspace.ts";
import { type Completion, completion, MODEL, type Usage } from "../openai/chunks.ts";
import { ApiError } from "../openai/errors.ts";
import { chatRequest, invalidRequest, newUserText } from "../openai/request.ts";
import type { Env } from "./listen.ts";

const MAX_BODY_BYTES = 32 * 1024 * 1024;

export interface ChatDeps {
  readonly config: Config;
  readonly conversations: Conversations;
}

export function chatDoor({ config, conversations }: ChatDeps): Hono<Env> {
  return new Hono<Env>().post(
    "/",
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => {
        throw new ApiError("request_too_large", `The request is larger than ${MAX_BODY_BYTES} bytes.`);
      },
    }),
    async (c, next) => {
      // Without this the validator takes a body of another type for an empty object.
      if (!/^application\/([\w.-]+\+)?json\b/i.test(c.req.header("content-type") ?? "")) {
        throw new ApiError("invalid_json", "Send the body as JSON, with content-type: application/json.");
      }
      await next();
    },
    zValidator("json", chatRequest, (result) => {
      if (!result.success) throw invalidRequest(result.error);
    }),
    async (c) => {
      const request = c.req.valid("json");
      const identity = identify((name) => c.req.header(name), request.user);
      const text = newUserText(request);
      const workspace = workspaceFor(c.req.header(WORKSPACE_HEADER), config);

      // Bun ends a connection after 10 quiet seconds; a turn may well be quiet for longer.
      c.env.server.timeout(c.req.raw, 0);
      const traceId = c.req.header("traceparent")?.split("-")[1] ?? null;
      const reply = conversations.ask(identity, text, workspace, traceId);
      c.req.raw.signal.addEventListener("abort", () => reply.leave());
      // Until the message is sent nothing was done, and an error can still be the status.
      const temperature = await reply.opened;
      // A header holds bytes only.
      c.header("x-synthesis-session", encodeURI(identity.key));
      c.header("x-synthesis-process", temperature);
      c.header("x-request-id", reply.id);

      const includeUsage = request.stream_options?.include_usage === true;
      const answer = completion(Math.floor(Date.now() / 1000), request.model || MODEL, includeUsage);
      return request.stream === true
        ? streamReply(c, reply, answer, { includeUsage, heartbeatMs: config.sseHeartbeatMs })
        : wholeReply(c, reply, answer);
    },
  );
}

function streamReply(
  c: Context<Env>,
  reply: Reply,
  answer: Completion,
  { includeUsage, heartbeatMs }: { includeUsage: boolean; heartbeatMs: number },
): Response {
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => reply.leave());
    let begun = 0;
    let written = 0;
    let lastWrite = Date.now();
    const write = async (data: string) => {
      begun += 1;
      await stream.writeSSE({ data });
      written += 1;
      lastWrite = Date.now();
    };
    const beat = setInterval(() => {
      if (Date.now() - lastWrite < heartbeatMs) return;
      if (begun === written) void write(answer.heartbeat());
      // A write that takes this long has a reader that no longer reads: let Bun end the connection.
      else c.env.server.timeout(c.req.raw, 1);
    }, heartbeatMs / 3);
    try {
      await write(answer.role());
      // Not cancelled at the end of the loop: only a client that leaves may do that.
      for await (const part of reply.parts.values({ preventCancel: true })) {
        if (part.type === "text") await write(answer.text(part.text));
        else if (part.type === "error") await write(JSON.stringify(part.error.body));
        else if (part.type === "finish") {
          await write(answer.finish("stop"));
          // The figures come later; who did not ask for them need not wait.
          if (!includeUsage) break;
        } else if (includeUsage) await write(answer.usage(part.usage));
      }
      await write("[DONE]");
    } finally {
      clearInterval(beat);
    }
  });
}

async function wholeReply(c: Context<Env>, reply: Reply, answer: Completion): Promise<Response> {
  let text = "";
  let usage: Usage | null = null;
  for await (const part of reply.parts) {
    if (part.type === "error") throw part.error;
    if (part.type === "text") text += part.text;
    if (part.type === "usage") usage = part.usage;
  }
  return c.json(answer.whole(text, usage));
}
