/**
 * Where a permission prompt goes: into the chat or to the holder of the control key. When no one can be asked, it is
 * denied. The setting `permissions` decides.
 */

import type { Config } from "../config/schema.ts";
import { visibleLine } from "../core/visible-text.ts";
import type { Verdict } from "../wire/hooks.ts";
import type { PendingPrompt, PermissionBroker, PermissionPrompt } from "./broker.ts";
import { type ChatPrompt, promptText } from "./chat-answers.ts";

/** The turn in which Claude asks. */
export interface PromptingTurn {
  /** No client receives the turn's answer. */
  readonly isSilent: boolean;
  /** Aborted when Claude no longer works on the turn for a client. */
  readonly workEnded: AbortSignal;
  /** Adds a line to the client's answer. */
  note(text: string): void;
  /** Ends the client's answer with a question. */
  askClient(text: string): void;
  /** Resolves when a client waits for the turn's answer, or the turn has ended. */
  whenUnparked(): Promise<void>;
  /** Ends the turn. @param results of the client's tools: none */
  abandon(results: ReadonlyMap<string, never>, why: string): void;
}

interface PermissionPromptsDeps {
  readonly config: Pick<Config, "permissions" | "allowedTools">;
  readonly permissions: PermissionBroker;
}

/** The permission prompts of one conversation. */
export class PermissionPrompts {
  readonly #deps: PermissionPromptsDeps;
  #chatPrompt: ChatPrompt | null = null;
  /** Resolves when the previous prompt in the chat has its verdict. */
  #previous: Promise<void> = Promise.resolve();

  constructor(deps: PermissionPromptsDeps) {
    this.#deps = deps;
  }

  /** The prompt that waits for an answer in the chat; null when none does. */
  get chatPrompt(): ChatPrompt | null {
    return this.#chatPrompt;
  }

  /** Closes the prompt in the chat, because the client's next message has arrived. The caller decides it. */
  closeChatPrompt(): void {
    this.#chatPrompt = null;
  }

  /**
   * Puts a prompt where it can be answered, and resolves with the verdict.
   * @param turn undefined when Claude asks outside of the conversation's turns
   * @param isDirect whether the chat has only one person in it at the time the prompt is shown
   * @param signal aborted when Claude no longer needs the verdict
   */
  ask(
    prompt: PermissionPrompt,
    turn: PromptingTurn | undefined,
    isDirect: () => boolean,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const { permissions, config } = this.#deps;
    if (turn && !turn.isSilent) {
      const untilEnd = AbortSignal.any([signal, turn.workEnded]);
      if (config.permissions === "chat" && prompt.sender !== null) {
        return this.#askInChat(turn, prompt, isDirect, untilEnd);
      }
      if (config.permissions === "ask") {
        return permissions.ask(prompt, (pending) => turn.note(controlNote(pending)), untilEnd);
      }
    }
    turn?.note(`[synthesis: Claude asked to use ${this.#refusal(prompt)}]`);
    return Promise.resolve(permissions.refuse(prompt));
  }

  /** What was refused, and why Claude asked. It asks about an allowed tool only when Claude Code protects the file. */
  #refusal({ tool, input }: PermissionPrompt): string {
    const { config, permissions } = this.#deps;
    const name = visibleLine(tool);
    if (!config.allowedTools.includes(tool)) return `${name}, which is not among its allowed tools, and was refused.`;
    return `${permissions.describe(tool, input)}, and was refused. ${name} is allowed, but Claude Code protects some \
files, such as .git, .claude, its settings and the startup files of shells, and asks before each change of them.`;
  }

  /** Ends the client's answer with the prompt. A chat shows one prompt at a time, and only while a client waits. */
  async #askInChat(
    turn: PromptingTurn,
    prompt: PermissionPrompt,
    isDirect: () => boolean,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const previous = this.#previous;
    const decided = Promise.withResolvers<void>();
    this.#previous = decided.promise;
    try {
      await previous;
      await turn.whenUnparked();
      let shown: ChatPrompt | null = null;
      const show = (pending: PendingPrompt) => {
        shown = { pending, isDirect: isDirect() };
        this.#chatPrompt = shown;
        turn.askClient(promptText(shown));
      };
      const verdict = await this.#deps.permissions.ask(prompt, show, signal);
      // Still open in the chat: the verdict came from elsewhere, or the prompt timed out.
      if (this.#chatPrompt === shown) {
        this.#chatPrompt = null;
        if (verdict.behavior === "deny") turn.abandon(new Map<string, never>(), verdict.message);
      }
      return verdict;
    } finally {
      decided.resolve();
    }
  }
}

function controlNote({ id, description, content }: PendingPrompt): string {
  const more = content ? ` \`synthesis permissions show ${id}\` shows the rest.` : "";
  return `[synthesis: Claude asks to use ${description}. It waits for \`synthesis permissions allow ${id}\` or \`deny ${id}\`.${more}]`;
}
