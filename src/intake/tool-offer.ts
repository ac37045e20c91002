/** Which of a request's tools its claude is offered, and what it is told of them. */

import type { ChatRequest } from "../api/openai-chat/request.ts";
import { catalogueOf, choiceNote, toolsOf } from "../api/openai-chat/tools.ts";
import type { OpenClawRequest } from "../api/openclaw/request.ts";
import { isBuiltInForClaude } from "../api/openclaw/tools.ts";
import type { Config } from "../config/schema.ts";
import type { ToolCatalogue } from "../core/tools.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import { REPLY_TOOL } from "../plugin/reply-tool.ts";

/** claude drops a tool whose whole name is longer. */
const LONGEST_NAME = 128 - TOOL_PREFIX.length;

export interface ToolOffer {
  readonly catalogue: ToolCatalogue;
  /** What the client asks for, in words; null for nothing. */
  readonly note: string | null;
  /** Several calls may go out together. */
  readonly isParallel: boolean;
}

/** @param openclaw what OpenClaw says in it, null for another client */
export function toolOfferOf(request: ChatRequest, openclaw: OpenClawRequest | null, config: Config): ToolOffer {
  const [first = "auto", ...more] = config.clientTools;
  const patterns = [first, ...more].map((pattern) => new Bun.Glob(pattern));
  const isOffered = (name: string): boolean => {
    if (first === "none") return false;
    if (first === "all") return true;
    // A side request is about what OpenClaw's own tools do, those for files, too.
    if (first === "auto") return openclaw === null || openclaw.side !== null || !isBuiltInForClaude(name);
    return patterns.some((pattern) => pattern.match(name));
  };
  const catalogue = catalogueOf(
    toolsOf(request).filter(({ name }) => isOffered(name)),
    { longest: LONGEST_NAME, reserved: config.reply === "tool" ? [REPLY_TOOL.name] : [] },
  );
  return { catalogue, note: choiceNote(request, catalogue), isParallel: request.parallel_tool_calls !== false };
}
