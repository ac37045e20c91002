/** An estimate of a request's tokens. Claude's tokenizer is not public, and asking Anthropic would need the login. */
import type { MessagesRequest } from "./request.ts";

/** English text has about four characters a token, code and other languages fewer. */
const CHARACTERS_A_TOKEN = 3.5;
/** What Anthropic counts for an image of the largest size that it does not shrink. */
const IMAGE_TOKENS = 1_600;
/** What a page of a PDF costs; its pages are not counted. */
const DOCUMENT_TOKENS = 3_000;

/** @returns the tokens of system prompt, messages and tools, without what Claude Code adds to them */
export function estimateTokens({ system, messages, tools }: MessagesRequest): number {
  let characters = 0;
  let tokens = 0;
  const count = (value: unknown): void => {
    if (typeof value === "string") characters += value.length;
    else if (Array.isArray(value)) value.forEach(count);
    else if (typeof value === "object" && value !== null) {
      const { type, source } = value as { type?: unknown; source?: { type?: unknown } };
      if (source && source.type !== "text" && source.type !== "content" && (type === "image" || type === "document")) {
        tokens += type === "image" ? IMAGE_TOKENS : DOCUMENT_TOKENS;
      } else Object.values(value).forEach(count);
    }
  };
  count([system, messages, tools]);
  return tokens + Math.ceil(characters / CHARACTERS_A_TOKEN);
}
