/**
 * The external prompts that Claude works on: prompts that no request caused, such as a background task's wake-up or a
 * message that a person typed at Claude's terminal.
 */
import { channelMessageId, type HookBody } from "../wire/hooks.ts";

export class ExternalPrompts {
  readonly #ids = new Set<string>();
  readonly #onEnd: () => void;
  #ended = Promise.withResolvers<void>();

  /** @param onEnd called when Claude has finished the last of them */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  /** Claude works on at least one. */
  get isAny(): boolean {
    return this.#ids.size > 0;
  }

  /** @param isOwnMessage whether a channel message with this id was sent by one of the conversation's turns */
  handleHook(hook: HookBody, isOwnMessage: (messageId: string | null) => boolean): void {
    const id = hook.prompt_id;
    // A subagent's Stop does not end the prompt.
    if (id === undefined || hook.agent_id !== undefined) return;
    if (hook.hook_event_name === "UserPromptSubmit") {
      if (!isOwnMessage(channelMessageId(hook.prompt))) this.#ids.add(id);
    } else if (hook.hook_event_name === "Stop" || hook.hook_event_name === "StopFailure") {
      if (this.#ids.delete(id)) this.#checkEnd();
    }
  }

  /** Claude is idle or has exited, so no prompt is left, even if no hook reported its end. */
  endAll(): void {
    if (!this.isAny) return;
    this.#ids.clear();
    this.#checkEnd();
  }

  /** Waits until Claude has finished all of them. False when `signal` is aborted first. */
  async waitForEnd(signal: AbortSignal): Promise<boolean> {
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => aborted.resolve());
    while (this.isAny && !signal.aborted) await Promise.race([this.#ended.promise, aborted.promise]);
    return !this.isAny;
  }

  #checkEnd(): void {
    if (this.isAny) return;
    this.#ended.resolve();
    this.#ended = Promise.withResolvers();
    this.#onEnd();
  }
}
