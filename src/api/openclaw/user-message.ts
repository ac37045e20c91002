/**
 * What a person has written, without what OpenClaw puts before it: the time, and, in a chat that came through
 * one of its channels, who they are.
 */
import { z } from "zod";
import { parseJson } from "../../core/json-gate.ts";
import { splitTimestamp } from "./timestamp.ts";

/** OpenClaw marks the headings of what it adds, and keeps the JSON below on one line. */
const CONTEXT = /^[^\n]{1,100} ⟦openclaw:ctx⟧\n```json\n([^\n]*)\n```\n\n?/;

/** OpenClaw puts a few of them before a message. */
const MAX_CONTEXTS = 20;

const context = z.looseObject({ sender: z.looseObject({ id: z.string() }).optional() });

export interface ParsedUserMessage {
  readonly text: string;
  /** The channel's id of whoever has written it; null when it is not said. */
  readonly sender: string | null;
}

/** @param text of one user message */
export function parseUserMessage(text: string): ParsedUserMessage {
  let [, rest] = splitTimestamp(text);
  let sender: string | null = null;
  let contexts = 0;
  for (let found = CONTEXT.exec(rest); found && contexts < MAX_CONTEXTS; found = CONTEXT.exec(rest)) {
    contexts += 1;
    // The first is OpenClaw's; those behind it may be the person's own.
    sender ??= senderIn(found[1] ?? "");
    rest = rest.slice(found[0].length);
  }
  return { text: rest.trim(), sender };
}

function senderIn(json: string): string | null {
  try {
    return context.safeParse(parseJson(json)).data?.sender?.id ?? null;
  } catch {
    // A person's own text that looks like it.
    return null;
  }
}
