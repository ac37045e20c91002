/** Everything that a running Claude Code process reports, as one type. */
import type { ToolCall } from "../../core/tools.ts";
import type { ReplyFrame } from "../../wire/frames.ts";
import type { HookBody } from "../../wire/hooks.ts";
import type { ApiActivity } from "./debug-log.ts";

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export type ClaudeEvent =
  | { readonly type: "hook"; readonly hook: HookBody }
  | { readonly type: "connection"; readonly open: boolean }
  | { readonly type: "reply"; readonly frame: ReplyFrame }
  /** claude calls a tool of the client's; it is answered with `tools.answer`. */
  | { readonly type: "call"; readonly call: ToolCall }
  /** claude does not wait for a call's result any more. */
  | { readonly type: "call_cancelled"; readonly id: string }
  /** claude's own word on whether it works has changed, perhaps; `status` says what it is. */
  | { readonly type: "status" }
  /** How claude's model requests go. */
  | { readonly type: "api"; readonly sign: ApiActivity }
  | { readonly type: "exit"; readonly exit: Exit };

export type PermissionHook = HookBody & { hook_event_name: "PermissionRequest" };
