/**
 * A one-shot: a request that is answered outside any conversation, from its own messages alone. They become the turns of
 * a dialogue, which is the input of Claude Code's print mode.
 */
import { type AnswerFormat, formatNote, readFormat, schemaNote } from "../api/openai-chat/response-format.ts";
import { checkChoice } from "../api/openai-chat/tools.ts";
import { effortFor, modelFor } from "../claude/models.ts";
import type { Effort } from "../config/schema.ts";
import type { DialogueTurn } from "../core/dialogue.ts";
import type { JsonSchema } from "../core/tools.ts";
import { claudeSchema } from "../json-schema/claude-schema.ts";
import { readDialogue } from "./dialogue.ts";
import type { ParsedRequest } from "./parsed-request.ts";

export interface OneShotRequest {
  /** Empty when the request has no system prompt. */
  readonly system: string;
  readonly turns: readonly DialogueTurn[];
  /** The beginning of the answer, which the client gives and Claude continues; null when there is none. */
  readonly prefill: string | null;
  readonly format: AnswerFormat;
  /** The schema that Claude Code enforces; null when it is only asked for the format. */
  readonly claudeSchema: JsonSchema | null;
  /** An alias or a full name; null for Claude Code's own default. */
  readonly model: string | null;
  /** Null for the configured one. */
  readonly effort: Effort | null;
}

/**
 * @throws RequestError (`invalid_request`) for a message that Claude cannot be given, an unknown format, or a call that
 * must be made
 */
export function readOneShotRequest(request: ParsedRequest): OneShotRequest {
  const { body } = request;
  // A one-shot has no tools.
  if (request.openclaw === null) checkChoice(body, new Map());
  const format = readFormat(body);
  const enforced = format.type === "json" && format.schema ? claudeSchema(format.schema) : null;
  const note = enforced ? schemaNote(format, enforced) : formatNote(format);
  return {
    system: [request.system, note ?? ""].filter((text) => text !== "").join("\n\n"),
    turns: readDialogue(request),
    prefill: request.prefill,
    format,
    claudeSchema: enforced,
    model: modelFor(body.model),
    effort: effortFor(body.reasoning_effort),
  };
}
