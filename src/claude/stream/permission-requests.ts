/** Permission prompts as Claude Code asks them over stream-json. */
import type { Verdict } from "../../wire/hooks.ts";
import type { PermissionHook } from "../agent-process.ts";
import { permissionUpdate } from "../permission-update.ts";
import type { ControlRequest } from "./protocol.ts";

export type PermissionRequest = ControlRequest["request"] & { readonly subtype: "can_use_tool" };

export class PermissionRequests {
  /** Those that wait for a verdict, by the ids of their requests. */
  readonly #open = new Map<string, AbortController>();

  /**
   * Waits for the verdict on a request.
   * @param decide decides the prompt, which is given in the form of a hook
   * @returns the response; null when Claude Code no longer waits for it
   */
  async handle(
    id: string,
    request: PermissionRequest,
    session: { readonly claudeSession: string; readonly promptId: string | null },
    decide: (hook: PermissionHook, signal: AbortSignal) => Promise<Verdict>,
  ): Promise<object | null> {
    const cancelled = new AbortController();
    this.#open.set(id, cancelled);
    const hook = {
      session_id: session.claudeSession,
      transcript_path: "",
      ...(session.promptId === null ? {} : { prompt_id: session.promptId }),
      ...(request.agent_id === undefined ? {} : { agent_id: request.agent_id }),
      hook_event_name: "PermissionRequest",
      tool_name: request.tool_name,
      tool_input: request.input,
    } as PermissionHook;
    try {
      const verdict = await decide(hook, cancelled.signal);
      return cancelled.signal.aborted ? null : responseTo(verdict, request.input);
    } finally {
      this.#open.delete(id);
    }
  }

  /** Claude Code no longer waits for the response to a request. */
  cancel(id: string): void {
    this.#open.get(id)?.abort();
  }

  cancelAll(): void {
    for (const prompt of this.#open.values()) prompt.abort();
  }
}

/** A verdict as the SDK's `PermissionResult` has it. */
function responseTo({ behavior, message, rule }: Verdict, input: Record<string, unknown>): object {
  if (behavior === "deny") return { behavior, message };
  return { behavior, updatedInput: input, ...(rule === null ? {} : { updatedPermissions: [permissionUpdate(rule)] }) };
}
