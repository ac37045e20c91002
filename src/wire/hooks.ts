/**
 * The bodies of Claude Code's HTTP hooks, as it posts them to `/hooks`. The schemas list the fields that synthesis reads
 * and ignore all others. Claude Code's hooks reference describes them all.
 */
import { z } from "zod";

const common = {
  session_id: z.string(),
  transcript_path: z.string(),
  /** The prompt that Claude works on; absent in hooks outside of a prompt. */
  prompt_id: z.string().optional(),
  /** Present if a subagent caused the hook. */
  agent_id: z.string().optional(),
};

const toolUse = {
  ...common,
  tool_name: z.string(),
  tool_use_id: z.string().optional(),
};

/** How long the tool ran, in milliseconds. */
const duration = { duration_ms: z.number().optional() };

const body = z.discriminatedUnion("hook_event_name", [
  /** Claude starts to work on a prompt. If the prompt begins with our channel tag, this is the receipt of a message. */
  z.object({ ...common, hook_event_name: z.literal("UserPromptSubmit"), prompt: z.string() }),
  /** A piece of the text that Claude writes, as Markdown source and without thinking. */
  z.object({
    ...common,
    hook_event_name: z.literal("MessageDisplay"),
    message_id: z.string(),
    index: z.number().int().min(0),
    final: z.boolean(),
    delta: z.string(),
  }),
  z.object({ ...toolUse, hook_event_name: z.literal("PreToolUse"), tool_input: z.unknown().optional() }),
  z.object({ ...toolUse, ...duration, hook_event_name: z.literal("PostToolUse") }),
  z.object({ ...toolUse, ...duration, hook_event_name: z.literal("PostToolUseFailure") }),
  /** Claude asks for a permission. The response to this hook is the verdict. */
  z.object({
    ...common,
    hook_event_name: z.literal("PermissionRequest"),
    tool_name: z.string(),
    tool_input: z.unknown().optional(),
  }),
  /** The turn has ended. `last_assistant_message` is the last text, trimmed; absent if there was none. */
  z.object({
    ...common,
    hook_event_name: z.literal("Stop"),
    last_assistant_message: z.string().optional(),
  }),
  /** The turn has failed after Claude Code's own retries. `last_assistant_message` describes the failure. */
  z.object({
    ...common,
    hook_event_name: z.literal("StopFailure"),
    error: z.string(),
    last_assistant_message: z.string().optional(),
  }),
  z.object({ ...common, hook_event_name: z.literal("SessionEnd") }),
]);

/** The answer to a permission prompt. */
export interface Verdict {
  readonly behavior: "allow" | "deny";
  /** What Claude reads if the verdict is `deny`. */
  readonly message: string;
  /** A permission rule that is allowed together with the verdict, such as `Bash(git push *)`. */
  readonly rule: string | null;
}

export const hookBody = body;
export type HookBody = z.infer<typeof hookBody>;
export type HookName = HookBody["hook_event_name"];

/** The hooks that Claude Code is configured to post. */
export const HOOK_NAMES: readonly HookName[] = body.options.map((option) => option.shape.hook_event_name.value);

/**
 * The `message_id` in the channel tag of a prompt. Only a tag at the very start counts, and only its first `message_id`,
 * so that the text of a message cannot forge the id of another one.
 */
export function channelMessageId(prompt: string): string | null {
  return /^<channel\s(?:[^>]*?\s)??message_id="([^"]*)"/.exec(prompt)?.[1] ?? null;
}
