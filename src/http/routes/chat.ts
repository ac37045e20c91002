/** `POST /v1/chat/completions`: OpenAI's API of chat completions. */
import { Hono } from "hono";
import { completion } from "../../api/openai-chat/chunks.ts";
import { chatRequest } from "../../api/openai-chat/request.ts";
import { checkSize } from "../../api/openai-chat/request-size.ts";
import { DEFAULT_MODEL } from "../../claude/models.ts";
import type { Config } from "../../config/schema.ts";
import { identify } from "../../intake/identity.ts";
import { parseRequest } from "../../intake/parsed-request.ts";
import type { SessionStore } from "../../store/sessions.ts";
import type { Answer } from "../answer.ts";
import type { Env } from "../env.ts";
import { validJson } from "../validation.ts";

export interface ChatDeps {
  readonly config: Pick<Config, "identityHeader" | "identityFallback">;
  readonly sessions: SessionStore;
}

export const chatRoutes = ({ config, sessions }: ChatDeps, answer: Answer): Hono<Env> =>
  // `checkSize` limits a request, so that reading it here does not block other requests for long.
  new Hono<Env>().post("/", validJson(chatRequest, checkSize), (c) => {
    const request = parseRequest(c.req.valid("json"), c.req.raw.headers);
    const { model, stream_options } = request.body;
    const named = identify(request, {
      identityHeader: config.identityHeader,
      identityFallback: config.identityFallback,
      aliasOf: sessions.keyWithAffinity,
    });
    return answer(c, request, named, () => {
      const created = Math.floor(Date.now() / 1000);
      return completion(created, model || DEFAULT_MODEL, stream_options?.include_usage === true, request.usesFunctions);
    });
  });
