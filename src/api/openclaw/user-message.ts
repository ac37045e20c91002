/**
 * A person's message as OpenClaw sends it: a timestamp, then context blocks for a chat that comes through a messaging
 * channel (the sender is in one of them), then the text that the person wrote.
 */
import { z } from "zod";
import { parseJson } from "../../core/json-gate.ts";
import { splitTimestamp } from "./timestamp.ts";

/** A context block: a heading with OpenClaw's mark, and JSON on one line. */
const CONTEXT_BLOCK = /^[^\n]{1,100} ⟦openclaw:ctx⟧\n```json\n([^\n]*)\n```\n\n?/;

/** OpenClaw adds only a few. */
const MAX_CONTEXT_BLOCKS = 20;

const contextBlock = z.looseObject({ sender: z.looseObject({ id: z.string() }).optional() });

export interface ParsedUserMessage {
  /** The text that the person wrote. */
  readonly text: string;
  /** The id of the person in the messaging channel; null when it is unknown. */
  readonly sender: string | null;
}

/** @param text the text of one user message */
export function parseUserMessage(text: string): ParsedUserMessage {
  let [, rest] = splitTimestamp(text);
  let sender: string | null = null;
  let blocks = 0;
  for (let found = CONTEXT_BLOCK.exec(rest); found && blocks < MAX_CONTEXT_BLOCKS; found = CONTEXT_BLOCK.exec(rest)) {
    blocks += 1;
    // The first sender counts: only OpenClaw writes the first blocks, but a person may write further ones.
    sender ??= senderIn(found[1] ?? "");
    rest = rest.slice(found[0].length);
  }
  return { text: rest.trim(), sender };
}

function senderIn(json: string): string | null {
  try {
    return contextBlock.safeParse(parseJson(json)).data?.sender?.id ?? null;
  } catch {
    // The text only looks like a context block.
    return null;
  }
}
