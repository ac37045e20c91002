/** Which models a client may ask for, and how hard claude may be told to think. */

import type { ReasoningEffort } from "../api/openai-chat/request.ts";
import type { Effort } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";

/** The model that stands for claude's own default. */
export const DEFAULT_MODEL = "synthesis-claude-bridge";

/** What Claude Code calls its newest models. */
const ALIASES = ["opus", "sonnet", "haiku", "fable", "opusplan"];
/** A model by its full name, with the mark for a window of a million tokens. */
const FULL_NAME = /^claude-[a-z0-9.-]{1,100}(\[1m\])?$/;
/** In characters; a longer name is cut in the error. */
const LONGEST_SHOWN = 100;

/** What `GET /v1/models` lists: claude's own default, and its aliases. */
export const MODELS: readonly string[] = [DEFAULT_MODEL, ...ALIASES];

/**
 * What `--model` is to be; null for claude's own default.
 * @param asked the request's `model`
 * @throws ApiError (404) when there is no such model
 */
export function modelFor(asked: string | null | undefined): string | null {
  if (!asked || asked === DEFAULT_MODEL) return null;
  if (ALIASES.includes(asked.replace(/\[1m\]$/, "")) || FULL_NAME.test(asked)) return asked;
  throw new RequestError(
    "model_not_found",
    `There is no model ${asked.slice(0, LONGEST_SHOWN)}. Use ${DEFAULT_MODEL} for claude's own default, ${ALIASES.join(", ")}, or a full name such as claude-opus-5.`,
    { param: "model" },
  );
}

/** What `--effort` is to be; null when the request does not say. claude always thinks a little. */
export const effortFor = (asked: ReasoningEffort | null | undefined): Effort | null =>
  asked === "none" || asked === "minimal" ? "low" : (asked ?? null);
