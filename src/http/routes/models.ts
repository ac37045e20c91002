/** `GET /v1/models` and `GET /v1/models/{id}`, in the shape of OpenAI's API or, for its clients, of Anthropic's. */
import type Anthropic from "@anthropic-ai/sdk";
import { type Context, Hono } from "hono";
import type OpenAI from "openai";
import { contextTokens, MODELS, modelFor, OUTPUT_TOKENS } from "../../claude/models.ts";
import type { Env } from "../env.ts";

/** Clients sort by it. It is the same for all, since the names stand for the newest models. */
const CREATED_AT = Date.UTC(2026, 0, 1);

/** The sizes stand under every name by which clients look for them: those of Groq, OpenRouter, vLLM and LiteLLM. */
const openAiModel = (id: string) => ({
  ...({ id, object: "model", created: CREATED_AT / 1_000, owned_by: "synthesis" } satisfies OpenAI.Model),
  context_window: contextTokens(id),
  context_length: contextTokens(id),
  max_model_len: contextTokens(id),
  max_input_tokens: contextTokens(id),
  max_output_tokens: OUTPUT_TOKENS,
  max_completion_tokens: OUTPUT_TOKENS,
});

const anthropicModel = (id: string): Anthropic.ModelInfo => ({
  type: "model",
  id,
  display_name: id,
  created_at: new Date(CREATED_AT).toISOString(),
  capabilities: null,
  deprecated_at: null,
  lifecycle: "active",
  line: null,
  max_input_tokens: contextTokens(id),
  max_tokens: OUTPUT_TOKENS,
  retires_at: null,
});

/** Anthropic's libraries send this header with every request. */
const isAnthropic = (c: Context<Env>): boolean => c.req.header("anthropic-version") !== undefined;

export const modelRoutes: Hono<Env> = new Hono<Env>()
  .get("/", (c) =>
    isAnthropic(c)
      ? c.json({
          data: MODELS.map(anthropicModel),
          has_more: false,
          first_id: MODELS[0] ?? null,
          last_id: MODELS.at(-1) ?? null,
        })
      : c.json({ object: "list", data: MODELS.map(openAiModel) }),
  )
  .get("/:id", (c) => {
    const id = c.req.param("id");
    // Throws for an id that is not a model.
    modelFor(id);
    return isAnthropic(c) ? c.json(anthropicModel(id)) : c.json(openAiModel(id));
  });
