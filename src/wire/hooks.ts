/**
 * What claude's HTTP hooks post to `/hooks`. Claude Code's hooks reference names the fields; only those
 * that synthesis reads are listed, and anything else in a body is let through.
 */
import { z } from "zod";

const common = {
  session_id: z.string(),
  transcript_path: z.string(),
  /** Names the prompt that claude works on; absent on hooks outside of one. */
  prompt_id: z.string().optional(),
  /** There when a subagent does it. */
  agent_id: z.string().optional(),
};

const toolUse = {
  ...common,
  tool_name: z.string(),
  tool_use_id: z.string().optional(),
};

/** How long the tool ran, in ms. */
const took = { duration_ms: z.number().optional() };

const body = z.discriminatedUnion("hook_event_name", [
  /** claude takes up a prompt: our receipt, when it begins with our channel tag. */
  z.looseObject({ ...common, hook_event_name: z.literal("UserPromptSubmit"), prompt: z.string() }),
  /** A piece of the text that claude writes: markdown source, thinking not in it. */
  z.looseObject({
    ...common,
    hook_event_name: z.literal("MessageDisplay"),
    message_id: z.string(),
    index: z.number().int().min(0),
    final: z.boolean(),
    delta: z.string(),
  }),
  z.looseObject({ ...toolUse, hook_event_name: z.literal("PreToolUse"), tool_input: z.unknown().optional() }),
  z.looseObject({ ...toolUse, ...took, hook_event_name: z.literal("PostToolUse") }),
  z.looseObject({ ...toolUse, ...took, hook_event_name: z.literal("PostToolUseFailure") }),
  /** claude asks whether it may; the answer to the post is the verdict. */
  z.looseObject({
    ...common,
    hook_event_name: z.literal("PermissionRequest"),
    tool_name: z.string(),
    tool_input: z.unknown().optional(),
  }),
  /** The turn is over. `last_assistant_message`: the last text, trimmed; absent when there was none. */
  z.looseObject({
    ...common,
    hook_event_name: z.literal("Stop"),
    last_assistant_message: z.string().optional(),
  }),
  /** The turn failed, after claude's own retries. `last_assistant_message` is claude's account of it. */
  z.looseObject({
    ...common,
    hook_event_name: z.literal("StopFailure"),
    error: z.string(),
    last_assistant_message: z.string().optional(),
  }),
  z.looseObject({ ...common, hook_event_name: z.literal("SessionEnd") }),
]);

/** The answer to a `PermissionRequest`. */
export interface Verdict {
  readonly behavior: "allow" | "deny";
  /** For claude, with a no. */
  readonly message: string;
  /** What else is allowed with it, in claude's rule syntax, as `Bash(git push *)`. */
  readonly rule: string | null;
}

export const hookBody = body;
export type HookBody = z.infer<typeof hookBody>;
export type HookName = HookBody["hook_event_name"];

/** The hooks that claude is asked to post. */
export const HOOK_NAMES: readonly HookName[] = body.options.map((option) => option.shape.hook_event_name.value);

/**
 * The `message_id` in a prompt's channel tag. Only a tag at the very start counts, and only its first
 * `message_id`: whatever the body of a message holds, it cannot pass for another message.
 */
export function channelMessageId(prompt: string): string | null {
  return /^<channel\s(?:[^>]*?\s)??message_id="([^"]*)"/.exec(prompt)?.[1] ?? null;
}
