/** What one Claude Code process is started for, and which part of it a request may choose. */
import type { Effort, EngineSetting } from "../config/schema.ts";
import type { DialogueTurn } from "../core/dialogue.ts";
import type { ClaudeTools, ToolCatalogue } from "../core/tools.ts";

export interface LaunchSpec {
  /** The conversation's key. */
  readonly sessionKey: string;
  /** The id of the Claude session, a uuid. */
  readonly claudeSession: string;
  /** The session has a transcript, which Claude Code resumes. */
  readonly resume: boolean;
  /** The configuration names the workspace, so the folder-trust dialog may be accepted. */
  readonly trusted: boolean;
  readonly choice: LaunchChoice;
  /** The engine setting of the conversation's agent. */
  readonly engine: EngineSetting;
  /** The client's tools that Claude is offered from the start. */
  readonly tools: ToolCatalogue;
  /** What was said before, for a process that has no transcript. It begins with the user. */
  readonly history?: readonly DialogueTurn[];
  /** The process is all that its conversation has: no later request can name it, and it leaves no transcript. */
  readonly isUnnamed?: boolean;
  /** What is allowed without a permission prompt, in addition to the configuration, as Claude Code permission rules. */
  readonly rules: readonly string[];
}

/** What a request may choose. Some choices require a restart of the process. */
export interface LaunchChoice {
  /** An absolute path that exists. */
  readonly workspace: string;
  /** An alias or a full name; null for Claude Code's default model. */
  readonly model: string | null;
  /** Null for the configured effort. */
  readonly effort: Effort | null;
  /** The stable part of the client's system prompt; null when there is none. */
  readonly systemPrompt: string | null;
  /** An isolated Claude has none of its tools, whatever this says. */
  readonly claudeTools: ClaudeTools;
  /**
   * For a request that names no conversation: Claude gets only the client's tools and the client's system prompt. Over
   * stream-json it also gets nothing of the user's setup.
   */
  readonly isIsolated: boolean;
}
