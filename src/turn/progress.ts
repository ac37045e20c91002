/** What claude is doing, a line each, for clients that show a model's reasoning. */

import { describeToolUse } from "../claude/tool-use.ts";
import type { Config } from "../config/schema.ts";
import { hideSecrets } from "../core/secrets.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import type { HookBody } from "../wire/hooks.ts";

/** A line about a hook; null when there is nothing to say of it. */
export type ProgressFormatter = (hook: HookBody) => string | null;

/** @param env may hold secrets, which are not shown */
export function progressFormatter({ progress }: Config, env: Record<string, string | undefined>): ProgressFormatter {
  if (progress === "off") return () => null;
  const hide = hideSecrets(env);
  return (hook) => {
    // The client's own tools it sees as calls.
    if (!("tool_name" in hook) || typeof hook.tool_name !== "string" || hook.tool_name.startsWith(TOOL_PREFIX)) {
      return null;
    }
    switch (hook.hook_event_name) {
      case "PreToolUse":
        return `${describeToolUse(hook.tool_name, hook.tool_input, hide)}\n`;
      case "PostToolUse":
        return progress === "full" ? `${hook.tool_name}: done${took(hook.duration_ms)}\n` : null;
      case "PostToolUseFailure":
        return `${hook.tool_name}: failed${took(hook.duration_ms)}\n`;
      default:
        return null;
    }
  };
}

const took = (ms: number | undefined): string => (ms === undefined ? "" : ` after ${(ms / 1000).toFixed(1)} s`);
