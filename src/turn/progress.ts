/** Describes what Claude is doing, one line per hook, for clients that show a model's reasoning. */

import { describeToolUse } from "../claude/tool-use.ts";
import type { Config } from "../config/schema.ts";
import { hideSecrets } from "../core/secrets.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import type { HookBody } from "../wire/hooks.ts";

/** Returns a line about a hook, or null when the client is shown none. */
export type ProgressFormatter = (hook: HookBody) => string | null;

/** @param env its secrets are hidden in the lines */
export function progressFormatter({ progress }: Config, env: Record<string, string | undefined>): ProgressFormatter {
  if (progress === "off") return () => null;
  const hide = hideSecrets(env);
  return (hook) => {
    // The client receives calls of its own tools as tool calls.
    if (!("tool_name" in hook) || typeof hook.tool_name !== "string" || hook.tool_name.startsWith(TOOL_PREFIX)) {
      return null;
    }
    switch (hook.hook_event_name) {
      case "PreToolUse":
        return `${describeToolUse(hook.tool_name, hook.tool_input, hide)}\n`;
      case "PostToolUse":
        return progress === "full" ? `${hook.tool_name}: done${duration(hook.duration_ms)}\n` : null;
      case "PostToolUseFailure":
        return `${hook.tool_name}: failed${duration(hook.duration_ms)}\n`;
      default:
        return null;
    }
  };
}

const duration = (ms: number | undefined): string => (ms === undefined ? "" : ` after ${(ms / 1000).toFixed(1)} s`);
