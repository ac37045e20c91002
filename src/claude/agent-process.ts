/** Everything that a running Claude Code process reports, as one type. */
import type { ToolCall } from "../core/tools.ts";
import type { ReplyFrame } from "../wire/frames.ts";
import type { HookBody } from "../wire/hooks.ts";

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/**
 * The progress of a model request of the conversation. After `failed`, Claude Code waits and makes the request again.
 */
export type ApiActivity =
  | { readonly what: "requested" | "answered" }
  | { readonly what: "failed"; readonly status: number | null; readonly message: string };

export type ClaudeEvent =
  | { readonly type: "hook"; readonly hook: HookBody }
  | { readonly type: "connection"; readonly open: boolean }
  | { readonly type: "reply"; readonly frame: ReplyFrame }
  /** Claude calls one of the client's tools. `tools.answer` gives it the result. */
  | { readonly type: "call"; readonly call: ToolCall }
  /** Claude no longer waits for the result of a call. */
  | { readonly type: "call_cancelled"; readonly id: string }
  /** The process's `status` may have changed. */
  | { readonly type: "status" }
  /** A model request was made, answered, or has failed. */
  | { readonly type: "api"; readonly activity: ApiActivity }
  | { readonly type: "exit"; readonly exit: Exit };

export type PermissionHook = HookBody & { hook_event_name: "PermissionRequest" };
