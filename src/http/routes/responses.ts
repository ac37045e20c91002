/** `/v1/responses`: OpenAI's API of responses. */
import { Hono } from "hono";
import { chatForm } from "../../api/openai-responses/chat-form.ts";
import { responseWriter } from "../../api/openai-responses/events.ts";
import { withFieldNames } from "../../api/openai-responses/field-names.ts";
import { responseId } from "../../api/openai-responses/ids.ts";
import { responsesRequest } from "../../api/openai-responses/request.ts";
import { checkSize } from "../../api/openai-responses/request-size.ts";
import { DEFAULT_MODEL } from "../../claude/models.ts";
import type { Config } from "../../config/schema.ts";
import { identify } from "../../intake/identity.ts";
import { parseRequest } from "../../intake/parsed-request.ts";
import type { SessionStore } from "../../store/sessions.ts";
import type { Answer } from "../answer.ts";
import type { Env } from "../env.ts";
import { validJson } from "../validation.ts";

export interface ResponsesDeps {
  readonly config: Pick<Config, "identityHeader" | "identityFallback">;
  readonly sessions: SessionStore;
}

export const responsesRoutes = ({ config, sessions }: ResponsesDeps, answer: Answer): Hono<Env> =>
  new Hono<Env>().post("/", validJson(responsesRequest, checkSize), async (c) => {
    const sent = c.req.valid("json");
    const { conversation } = sent;
    const { body, fieldName } = chatForm(sent);
    const request = parseRequest(body, c.req.raw.headers);
    const named = identify(request, {
      identityHeader: config.identityHeader,
      identityFallback: config.identityFallback,
      conversation: typeof conversation === "object" ? (conversation?.id ?? null) : conversation,
      aliasOf: sessions.keyWithAffinity,
    });
    try {
      return await answer(c, request, named, (response) => {
        const created = Math.floor(Date.now() / 1000);
        const head = { id: responseId(response.id, 0), created, model: sent.model || DEFAULT_MODEL };
        return responseWriter(head, sent);
      });
    } catch (error) {
      throw withFieldNames(error, fieldName);
    }
  });
