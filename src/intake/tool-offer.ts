/** Which of the client's tools Claude is offered, and what the client asks about their use. */

import { checkChoice, choiceNote, toolsOf } from "../api/openai-chat/tools.ts";
import { isBuiltInForClaude } from "../api/openclaw/tools.ts";
import type { Config } from "../config/schema.ts";
import type { ToolCatalogue } from "../core/tools.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import { REPLY_TOOL } from "../plugin/reply-tool.ts";
import type { ParsedRequest } from "./parsed-request.ts";
import { catalogueOf } from "./tool-catalogue.ts";

/** Claude Code drops a tool whose full name is longer than 128 characters. */
const MAX_NAME_LENGTH = 128 - TOOL_PREFIX.length;

export interface ToolOffer {
  readonly catalogue: ToolCatalogue;
  /** What the client asks about the use of its tools, as a sentence for Claude; null when it asks nothing. */
  readonly note: string | null;
  /** The client takes several calls in one answer. */
  readonly isParallel: boolean;
}

/**
 * The offer for a request. The setting `clientTools` decides which of the request's tools are in it.
 * @throws RequestError (`invalid_request`) when the request wants a call of a tool that is not in it
 */
export function toolOfferOf(request: ParsedRequest, config: Config): ToolOffer {
  const { body } = request;
  const isOffered = offerRule(request, config);
  const catalogue = catalogueOf(
    toolsOf(body).filter(({ name }) => isOffered(name)),
    { maxNameLength: MAX_NAME_LENGTH, reserved: config.reply === "tool" ? [REPLY_TOOL.name] : [] },
  );
  // OpenClaw would end its run on an error.
  if (request.openclaw === null) checkChoice(body, catalogue);
  return { catalogue, note: choiceNote(body, catalogue), isParallel: body.parallel_tool_calls !== false };
}

/** Whether the setting `clientTools` lets Claude have a tool of the request, by its name. */
export function offerRule({ openclaw }: ParsedRequest, config: Config): (name: string) => boolean {
  const [first = "auto", ...more] = config.clientTools;
  const patterns = [first, ...more].map((pattern) => new Bun.Glob(pattern));
  return (name) => {
    if (first === "none") return false;
    if (first === "all") return true;
    // A side request needs OpenClaw's own tools, also those that Claude has equivalents of.
    if (first === "auto") return openclaw === null || openclaw.side !== null || !isBuiltInForClaude(name);
    return patterns.some((pattern) => pattern.match(name));
  };
}
