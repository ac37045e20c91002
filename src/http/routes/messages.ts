/** `/v1/messages`: Anthropic's API of messages. */
import type Anthropic from "@anthropic-ai/sdk";
import { Hono } from "hono";
import { chatForm } from "../../api/anthropic-messages/chat-form.ts";
import { messageWriter } from "../../api/anthropic-messages/events.ts";
import { messagesRequest } from "../../api/anthropic-messages/request.ts";
import { checkSize } from "../../api/anthropic-messages/request-size.ts";
import { estimateTokens } from "../../api/anthropic-messages/token-count.ts";
import { withFieldNames } from "../../api/field-names.ts";
import { DEFAULT_MODEL } from "../../claude/models.ts";
import type { Identify } from "../../intake/identity.ts";
import { parseRequest } from "../../intake/parsed-request.ts";
import type { Answer } from "../answer.ts";
import type { Env } from "../env.ts";
import { validJson } from "../validation.ts";

export const messagesRoutes = (identify: Identify, answer: Answer): Hono<Env> =>
  new Hono<Env>()
    .post("/", validJson(messagesRequest, checkSize), async (c) => {
      const sent = c.req.valid("json");
      const { body, fieldName } = chatForm(sent);
      const expectsThinking = sent.thinking != null && sent.thinking.type !== "disabled";
      try {
        const request = parseRequest(body, c.req.raw.headers);
        const response = await answer(c, request, await identify(request, c.var.caller.name), () =>
          messageWriter(sent.model || DEFAULT_MODEL, expectsThinking),
        );
        // Anthropic's libraries read the id under this name.
        response.headers.set("request-id", response.headers.get("x-request-id") ?? "");
        return response;
      } catch (error) {
        throw withFieldNames(error, fieldName);
      }
    })
    .post("/count_tokens", validJson(messagesRequest, checkSize), (c) =>
      c.json({ input_tokens: estimateTokens(c.req.valid("json")) } satisfies Anthropic.MessageTokensCount),
    );
