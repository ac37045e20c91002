/** What claude asks before it does it: put in the chat, to whoever has the control key, or refused. */

import type { Config } from "../config/schema.ts";
import { visibleLine } from "../core/visible-text.ts";
import type { TurnRunner } from "../turn/runner.ts";
import type { Verdict } from "../wire/hooks.ts";
import type { PendingPrompt, PermissionBroker, PermissionPrompt } from "./broker.ts";
import { type ChatPrompt, promptText } from "./chat-answers.ts";

export const USER_SPOKE = "The person has spoken instead.";

interface PermissionPromptsDeps {
  readonly config: Config;
  readonly permissions: PermissionBroker;
}

export class PermissionPrompts {
  readonly #deps: PermissionPromptsDeps;
  /** The question with which the client's answer has ended. */
  #asked: ChatPrompt | null = null;
  /** Resolves when the question before is answered. */
  #asking: Promise<void> = Promise.resolve();

  constructor(deps: PermissionPromptsDeps) {
    this.#deps = deps;
  }

  /** The one that waits in the chat; null when none does. */
  get asked(): ChatPrompt | null {
    return this.#asked;
  }

  /** Somebody is about to answer it: it waits no more. */
  close(): void {
    this.#asked = null;
  }

  /**
   * Puts a question of claude's to whom it may concern, and resolves with what they say.
   * @param run the turn in which it is asked; undefined when that is none of ours
   * @param isDirect whether, when it is asked, nobody else is in the chat
   * @param signal aborted when claude does not want to know any more
   */
  put(
    question: PermissionPrompt,
    run: TurnRunner | undefined,
    isDirect: () => boolean,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const { permissions, config } = this.#deps;
    if (run && !run.isSilent && config.permissions === "chat" && question.sender !== null) {
      return this.#askInChat(run, question, isDirect, AbortSignal.any([signal, run.workEnded]));
    }
    if (!run || run.isSilent || config.permissions !== "ask") {
      run?.note(`[synthesis: claude asked to use ${this.#refused(question)}]`);
      return Promise.resolve(permissions.refuse(question));
    }
    const asked = ({ id, description, content }: PendingPrompt) => {
      const more = content ? ` \`synthesis permissions show ${id}\` shows the rest.` : "";
      run.note(
        `[synthesis: claude asks to use ${description}. It waits for \`synthesis permissions allow ${id}\` or \`deny ${id}\`.${more}]`,
      );
    };
    return permissions.ask(question, asked, AbortSignal.any([signal, run.workEnded]));
  }

  /** What was refused, and why Claude asked. Where a tool is allowed, Claude Code asks only about what it protects. */
  #refused({ tool, input }: PermissionPrompt): string {
    const { config, permissions } = this.#deps;
    const name = visibleLine(tool);
    if (!config.allowedTools.includes(tool)) return `${name}, which is not among its allowed tools, and was refused.`;
    return `${permissions.describe(tool, input)}, and was refused. ${name} is allowed, but Claude Code protects some \
files, such as .git, .claude, its settings and the startup files of shells, and asks before each change of them.`;
  }

  /** Asks at the end of the client's answer; one question at a time, each with a client to hear it. */
  async #askInChat(
    run: TurnRunner,
    question: PermissionPrompt,
    isDirect: () => boolean,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const before = this.#asking;
    const over = Promise.withResolvers<void>();
    this.#asking = over.promise;
    try {
      await before;
      await run.whenUnparked();
      let asked: ChatPrompt | null = null;
      const put = (pending: PendingPrompt) => {
        asked = { pending, isDirect: isDirect() };
        this.#asked = asked;
        run.askClient(promptText(asked));
      };
      const verdict = await this.#deps.permissions.ask(question, put, signal);
      // Answered elsewhere, or not in time.
      if (this.#asked === asked) {
        this.#asked = null;
        if (verdict.behavior === "deny") run.abandon(new Map(), verdict.message);
      }
      return verdict;
    } finally {
      over.resolve();
    }
  }
}
