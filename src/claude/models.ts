/** Which models and efforts a client may ask for, and what Claude Code calls them. */

import type { Effort } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";

/** The model name that selects Claude Code's default model. */
export const DEFAULT_MODEL = "synthesis-claude-bridge";

/** Claude Code's names for its newest models. */
const ALIASES = ["opus", "sonnet", "haiku", "fable", "opusplan"];
/** A full model name, optionally with the suffix for a context of a million tokens. */
const FULL_NAME = /^claude-[a-z0-9.-]{1,100}(\[1m\])?$/;
/** In characters. A longer name is cut in the error message. */
const MAX_SHOWN_LENGTH = 100;

/** What `GET /v1/models` lists: Claude Code's default model and its aliases. */
export const MODELS: readonly string[] = [DEFAULT_MODEL, ...ALIASES];

/**
 * The sizes that every one of them has at least, in tokens. Claude Code compacts a longer conversation itself.
 */
export const CONTEXT_TOKENS = 200_000;
export const OUTPUT_TOKENS = 32_000;
/** The context of a model whose name ends in `[1m]`. */
const LONG_CONTEXT_TOKENS = 1_000_000;

export const contextTokens = (model: string): number => (model.endsWith("[1m]") ? LONG_CONTEXT_TOKENS : CONTEXT_TOKENS);

/**
 * The value for `--model`; null for Claude Code's default model.
 * @param asked the request's `model`
 * @throws RequestError (`model_not_found`)
 */
export function modelFor(asked: string | null | undefined): string | null {
  if (!asked || asked === DEFAULT_MODEL) return null;
  if (ALIASES.includes(asked.replace(/\[1m\]$/, "")) || FULL_NAME.test(asked)) return asked;
  throw new RequestError(
    "model_not_found",
    `There is no model ${asked.slice(0, MAX_SHOWN_LENGTH)}. Use ${DEFAULT_MODEL} for Claude Code's default model, ${ALIASES.join(", ")}, or a full name such as claude-opus-5.`,
    { param: "model" },
  );
}

/** The value for `--effort`; null when the request does not say. Claude Code has no effort below `low`. */
export const effortFor = (asked: Effort | "none" | "minimal" | null | undefined): Effort | null =>
  asked === "none" || asked === "minimal" ? "low" : (asked ?? null);
