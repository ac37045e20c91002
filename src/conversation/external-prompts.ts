/** Keeps account of prompts that claude works on and that no request of ours has brought: a wake-up, or a person at its terminal. */
import { channelMessageId, type HookBody } from "../wire/hooks.ts";

export class ExternalPrompts {
  readonly #ids = new Set<string>();
  #over = Promise.withResolvers<void>();
  readonly #onOver: () => void;

  /** @param onOver called when claude is done with all of them */
  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  /** claude works on one. */
  get isAny(): boolean {
    return this.#ids.size > 0;
  }

  /** @param isOurs whether a message id is one of ours */
  note(hook: HookBody, isOurs: (message: string | null) => boolean): void {
    const id = hook.prompt_id;
    // A subagent's end is not the prompt's.
    if (id === undefined || hook.agent_id !== undefined) return;
    if (hook.hook_event_name === "UserPromptSubmit") {
      if (!isOurs(channelMessageId(hook.prompt))) this.#ids.add(id);
    } else if (hook.hook_event_name === "Stop" || hook.hook_event_name === "StopFailure") {
      if (this.#ids.delete(id)) this.#noteEnd();
    }
  }

  /** claude works on none any more, whatever its hooks have said. */
  endAll(): void {
    if (!this.isAny) return;
    this.#ids.clear();
    this.#noteEnd();
  }

  /** Waits until claude is done with them. False when `signal` ends the wait. */
  async end(signal: AbortSignal): Promise<boolean> {
    const giveUp = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => giveUp.resolve());
    while (this.isAny && !signal.aborted) await Promise.race([this.#over.promise, giveUp.promise]);
    return !this.isAny;
  }

  #noteEnd(): void {
    if (this.isAny) return;
    this.#over.resolve();
    this.#over = Promise.withResolvers();
    this.#onOver();
  }
}
