/**
 * Gives a new Claude Code process what was said before it started, as real messages. Each message of the user is written
 * when Claude Code has reported the one before as read: it reads an assistant's message at once, which would otherwise
 * come before the user's message that it answers.
 */
import type { DialogueTurn } from "../../core/dialogue.ts";
import { pastTurnLine } from "./protocol.ts";

export class PastDialogue {
  readonly #write: (line: string) => unknown;
  readonly #turns: { readonly role: DialogueTurn["role"]; readonly line: string }[];
  readonly #written = Promise.withResolvers<void>();
  /** A message was written that Claude Code has not reported as read. */
  #isWaiting = false;

  /**
   * @param turns begin with the user and alternate
   * @throws when they cannot be serialised
   */
  constructor(turns: readonly DialogueTurn[], write: (line: string) => unknown) {
    this.#turns = turns.map((turn) => ({ role: turn.role, line: pastTurnLine(turn) }));
    this.#write = write;
  }

  /** Writes all turns. Resolves when Claude Code has read them, and never when it exits before. */
  write(): Promise<void> {
    this.#writeNext();
    return this.#written.promise;
  }

  /** Takes the news that Claude Code has read a message. @returns false when none was being written */
  noteRead(): boolean {
    if (!this.#isWaiting) return false;
    this.#isWaiting = false;
    this.#writeNext();
    return true;
  }

  #writeNext(): void {
    for (let turn = this.#turns.shift(); turn; turn = this.#turns.shift()) {
      this.#write(turn.line);
      if (turn.role === "assistant") continue;
      this.#isWaiting = true;
      return;
    }
    this.#written.resolve();
  }
}
