/**
 * An agent process: a running Claude Code that works for one conversation, however it is run. Everything it reports
 * reaches its owner as one stream of events.
 */
import type { MessageContent } from "../core/dialogue.ts";
import type { SessionFigures } from "../core/session-figures.ts";
import type { ToolCall } from "../core/tools.ts";
import type { ModelUsage } from "../core/usage.ts";
import type { ReplyFrame } from "../wire/frames.ts";
import type { HookBody, Verdict } from "../wire/hooks.ts";
import type { LaunchChoice, LaunchSpec } from "./launch-spec.ts";
import type { OfferedTools } from "./offered-tools.ts";
import type { SessionStatus } from "./session-file.ts";
import type { Row } from "./transcript/rows.ts";

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A model request: it was made, answered, or has failed. After a failure Claude Code waits, and repeats it. */
export type ApiActivity =
  | { readonly what: "requested" | "answered" }
  /** The stream of the answer has broken off. Claude Code requests the answer again, without a stream. */
  | { readonly what: "broken_off" }
  | { readonly what: "failed"; readonly status: number | null; readonly message: string };

export type ClaudeEvent =
  /** What a hook of Claude Code reports, or stream-json in its place. */
  | { readonly type: "hook"; readonly hook: HookBody }
  /** The process can take messages, or has lost its connection. */
  | { readonly type: "connection"; readonly open: boolean }
  | { readonly type: "reply"; readonly frame: ReplyFrame }
  /** Claude calls one of the client's tools. `tools.answer` gives it the result. */
  | { readonly type: "call"; readonly call: ToolCall }
  /** Claude no longer waits for the result of a call. */
  | { readonly type: "call_cancelled"; readonly id: string }
  /** The process's `status` may have changed. */
  | { readonly type: "status" }
  | { readonly type: "api"; readonly activity: ApiActivity }
  /** `reportedRows` has a message that is complete now. */
  | { readonly type: "rows" }
  /** The process has new `figures`. In a terminal they come a moment after the answer. */
  | { readonly type: "figures" }
  | { readonly type: "exit"; readonly exit: Exit };

export type PermissionHook = HookBody & { hook_event_name: "PermissionRequest" };

export type ProcessState = "starting" | "ready" | "draining" | "exited";

/** A person who watches what a process shows, with `synthesis attach`. */
export interface Viewer {
  /** Receives the bytes for a terminal. */
  draw(bytes: Uint8Array): void;
  /** The process has exited. */
  end(): void;
}

/** The conversation that a process works for. */
export interface ProcessOwner {
  /** Whether the process has work to do. The pool stops only processes that have none. */
  isBusy(): boolean;
  /**
   * Since when its turn has waited for results of the client's tools and for nothing else, in ms of the monotonic clock;
   * null when it does not.
   */
  parkedSince(): number | null;
  /** Ends that wait, because another conversation needs the slot of the process. */
  releaseParked(): void;
  /** Receives everything that happens in the process, in the order of arrival. */
  onEvent(process: AgentProcess, event: ClaudeEvent): void;
  /** Decides a permission prompt. @param signal aborted when Claude no longer waits for the verdict */
  onPermission(hook: PermissionHook, signal: AbortSignal): Promise<Verdict>;
  /** The idle process exceeds its memory limit, so the owner should restart it. */
  onOversized(process: AgentProcess): void;
}

/** The owner of a prewarmed process until a conversation adopts it. */
export const NO_OWNER: ProcessOwner = {
  isBusy: () => false,
  parkedSince: () => null,
  releaseParked: () => {},
  onEvent: () => {},
  onPermission: async () => ({ behavior: "deny", message: "No conversation owns this process yet.", rule: null }),
  onOversized: () => {},
};

/**
 * How Claude Code is run. `interactive`: in a terminal, with a channel and hooks. `stream`: over stdin and stdout with
 * stream-json.
 */
export type Engine = "interactive" | "stream";

export interface AgentProcess {
  readonly engine: Engine;
  readonly spec: LaunchSpec;
  readonly pid: number;
  readonly state: ProcessState;
  readonly owner: ProcessOwner;
  /** Resolves when messages can be sent. Rejects with a `BootFailure` when that will never be possible. */
  readonly ready: Promise<void>;
  readonly exited: Promise<Exit>;
  /** The client's tools that Claude has been offered. */
  readonly tools: OfferedTools;
  /** Messages can be sent to it now. */
  readonly connected: boolean;
  /** Messages can be sent to it now or soon. */
  readonly isUsable: boolean;
  /** It has received a message since it was started. */
  readonly hasWorked: boolean;
  /** Another `claude` has opened the session too. This process does not know what the other one added to the transcript. */
  readonly isShared: boolean;
  /** Whether Claude Code is busy or idle, by its session file; null when the file does not say. */
  readonly status: SessionStatus | null;
  /** Increases whenever `status` may have changed, also if it turns out to be the same. */
  readonly statusRevision: number;
  /**
   * When it last produced any output, in ms of the monotonic clock. The current time while a permission prompt waits for
   * a person.
   */
  readonly lastOutputAt: number;
  /** When the process was last used, in ms of the monotonic clock. */
  readonly lastUsedAt: number;
  /** What Claude Code last reported about its conversation; null before the first answer. */
  readonly figures: SessionFigures | null;
  /** The user has set how often Claude Code retries a failed model request. */
  readonly hasOwnRetries: boolean;
  /** A Stop hook of the user's may keep Claude working after a `Stop`. */
  readonly mayContinueAfterStop: boolean;
  /** How to start the process that replaces this one. */
  readonly successor: LaunchSpec;
  /** Memory of the process and everything it has started, in bytes, as last measured; null before the first time. */
  memory: number | null;
  /** How many Stop hooks ran at the end of the last turn, ours included; null before the first turn has ended. */
  stopHooks: number | null;
  /**
   * What Claude Code has reported of a turn so far, as it will stand in the transcript. Null when only the transcript has it.
   * @param messageId the message that began the turn
   */
  reportedRows(messageId: string): readonly Row[] | null;
  /** What the newest turn has used by the process's own figures, with its cost; null when they are unknown. */
  reportedUsage(messageId: string): readonly ModelUsage[] | null;
  /** Whether messages can be sent. Waits for a connection that is being restored. */
  isConnected(): Promise<boolean>;
  /** Counts as output, for example because a client has sent what Claude waited for. */
  noteOutput(): void;
  /** What the client loses because of how the process was started, in sentences. Each is returned once. */
  takeNotes(): readonly string[];
  /** Gives a prewarmed process to a conversation that it suits. The conversation waits for `ready` again. */
  assignTo(spec: LaunchSpec, owner: ProcessOwner): void;
  /** Gives the idle process other launch options. @returns false when it has to be restarted for them */
  adapt(choice: LaunchChoice): Promise<boolean>;
  /**
   * Sends a message. Blocks reach the model as they are, which only a stream process can do.
   * @param messageId a uuid
   * @param attachments attributes of the message's channel tag that name its files
   * @param again Claude never received the message
   * @returns false when it cannot be sent
   */
  send(
    messageId: string,
    chatId: string,
    content: MessageContent,
    attachments: Readonly<Record<string, string>>,
    again?: boolean,
  ): boolean;
  /** Interrupts Claude. */
  interrupt(): void;
  /** Shows the process to a viewer. @returns a function that removes the viewer and returns how many are left */
  show(viewer: Viewer): () => number;
  /** The pool measured that this idle process exceeds its memory limit. */
  reportOversized(): void;
  /** Stops the process, later by force. Resolves when it has exited. */
  stop(): Promise<Exit>;
  /** Kills the process at once. */
  kill(): void;
}
