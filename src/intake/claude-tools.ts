/** Which of Claude Code's own tools a request leaves to Claude. */
import { toolsOf } from "../api/openai-chat/tools.ts";
import { FILE_AND_SHELL_TOOLS } from "../claude/tool-rules.ts";
import { claudeToolsOf } from "../config/agent-settings.ts";
import type { Config } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";
import { ALL_CLAUDE_TOOLS, type ClaudeTools } from "../core/tools.ts";
import { isFileOrShellTool } from "./file-and-shell-tools.ts";
import type { ParsedRequest } from "./parsed-request.ts";
import { offerRule } from "./tool-offer.ts";

/** With this header a request leaves Claude fewer tools than the setting `claudeTools`, in the form of that setting. */
const HEADER = "x-synthesis-claude-tools";

/**
 * The choice of Claude's own tools for a request.
 * @param agent the OpenClaw agent that the conversation is with; null when there is none
 * @returns null when the setting depends on the request's tools, and the request has none
 */
export function claudeToolsFor(request: ParsedRequest, agent: string | null, config: Config): ClaudeTools | null {
  const requested = namesIn(request.headers);
  const allowed = choiceOf(claudeToolsOf(agent, config), request, config);
  if (requested === null) return allowed;
  const wanted = choiceOf(requested, request, config) ?? ALL_CLAUDE_TOOLS;
  return both(allowed ?? ALL_CLAUDE_TOOLS, wanted);
}

/** @throws RequestError (`invalid_request`) for something else than names: the names become arguments of `claude` */
function namesIn(headers: Headers): readonly string[] | null {
  const names = headers.get(HEADER)?.match(/[^\s,]+/g) ?? null;
  if (names?.every((name) => /^[A-Za-z]\w*$/.test(name)) === false) {
    throw new RequestError("invalid_request", `${HEADER} must be auto, all, none, or names of Claude Code's tools.`, {
      param: HEADER,
    });
  }
  return names;
}

function choiceOf(names: readonly string[], request: ParsedRequest, config: Config): ClaudeTools | null {
  switch (names[0]) {
    case "all":
      return ALL_CLAUDE_TOOLS;
    case "none":
      return { only: [], without: [] };
    case "auto":
      return automaticChoice(request, config);
    default:
      return { only: names, without: [] };
  }
}

/** A coding client runs its tools in its own folder, in which Claude's tools do not work. */
function automaticChoice(request: ParsedRequest, config: Config): ClaudeTools | null {
  // OpenClaw works in the same folders as Claude, and `clientTools` leaves its tools out.
  if (request.openclaw) return ALL_CLAUDE_TOOLS;
  if (!request.body.tools?.length) return null;
  const isOffered = offerRule(request, config);
  // `tool_choice` may rule tools out in one message; that is no reason to restart Claude.
  const tools = toolsOf({ ...request.body, tool_choice: undefined });
  if (!tools.some((tool) => isOffered(tool.name) && isFileOrShellTool(tool))) return ALL_CLAUDE_TOOLS;
  // Images and files of messages reach Claude as files, which it reads with its own tool.
  const hasFiles = request.messages.some(({ parts }) => parts.some(({ kind }) => kind === "image" || kind === "file"));
  return { only: null, without: FILE_AND_SHELL_TOOLS.filter((name) => !(hasFiles && name === "Read")) };
}

/** The tools that both choices allow. */
function both(one: ClaudeTools, other: ClaudeTools): ClaudeTools {
  const { only } = one;
  return {
    only: only === null ? other.only : only.filter((name) => other.only === null || other.only.includes(name)),
    without: [...new Set([...one.without, ...other.without])],
  };
}
