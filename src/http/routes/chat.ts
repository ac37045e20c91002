/** `POST /v1/chat/completions`: OpenAI's API of chat completions. */
import { Hono } from "hono";
import { completion } from "../../api/openai-chat/chunks.ts";
import { chatRequest } from "../../api/openai-chat/request.ts";
import { checkSize } from "../../api/openai-chat/request-size.ts";
import { DEFAULT_MODEL } from "../../claude/models.ts";
import type { Identify } from "../../intake/identity.ts";
import { parseRequest } from "../../intake/parsed-request.ts";
import type { Answer } from "../answer.ts";
import type { Env } from "../env.ts";
import { validJson } from "../validation.ts";

export const chatRoutes = (identify: Identify, answer: Answer): Hono<Env> =>
  // `checkSize` limits a request, so that reading it here does not block other requests for long.
  new Hono<Env>().post("/", validJson(chatRequest, checkSize), async (c) => {
    const request = parseRequest(c.req.valid("json"), c.req.raw.headers);
    const { model, stream_options } = request.body;
    return answer(c, request, await identify(request, c.var.caller.name), () => {
      const created = Math.floor(Date.now() / 1000);
      return completion(created, model || DEFAULT_MODEL, stream_options?.include_usage === true, request.usesFunctions);
    });
  });
