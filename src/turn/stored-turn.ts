/** One turn's row in the turns table, written as the turn proceeds. */

import type { Clock } from "../core/clock.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { ModelUsage } from "../core/usage.ts";
import type { Exchange } from "../store/schema.ts";
import type { SentTurn, TurnStore } from "../store/turns.ts";

/** So many uses of tools are kept. Each of them is written again with the next one. */
const MAX_TOOLS = 200;

export class StoredTurn {
  readonly #id: string;
  readonly #sessionKey: string;
  readonly #turns: TurnStore;
  readonly #clock: Clock;
  #firstTextAt: number | null = null;
  readonly #tools: { id: string; name: string; startedAt: number; endedAt: number | null }[] = [];

  constructor(id: string, sessionKey: string, turns: TurnStore, clock: Clock) {
    this.#id = id;
    this.#sessionKey = sessionKey;
    this.#turns = turns;
    this.#clock = clock;
  }

  /** The client has received text. */
  get hasText(): boolean {
    return this.#firstTextAt !== null;
  }

  /** Writes the row before the message is sent. Rejects when it cannot be written: then nothing must be sent. */
  sending(turn: Omit<SentTurn, "id" | "session" | "sentAt">): Promise<void> {
    return this.#turns.insertSent({ ...turn, id: this.#id, session: this.#sessionKey, sentAt: this.#clock.wallTime() });
  }

  received(promptId: string | null): void {
    this.#turns.markReceived(this.#id, this.#sessionKey, this.#clock.wallTime(), promptId);
  }

  /** Notes that the client has received text. Only the first time counts. */
  noteText(): void {
    this.#firstTextAt ??= this.#clock.wallTime();
  }

  /** Notes that Claude uses a tool, or has used it. @param id of the use */
  noteTool(id: string, name: string, isOver: boolean): void {
    const use = this.#tools.find((one) => one.id === id);
    const at = this.#clock.wallTime();
    if (isOver && use) use.endedAt = at;
    else if (!isOver && !use && this.#tools.length < MAX_TOOLS) {
      this.#tools.push({ id, name, startedAt: at, endedAt: null });
    } else return;
    this.#turns.setTools(
      this.#id,
      this.#tools.map(({ id: _id, ...time }) => time),
    );
  }

  /** @param total the tokens of all model calls so far, by model @param isFinal no more model calls follow */
  noteUsage(total: readonly ModelUsage[], isFinal: boolean): void {
    this.#turns.setUsage(this.#id, total, isFinal);
  }

  ended(
    state: "done" | "failed" | "interrupted",
    errorCode: ErrorCode | null,
    exchanges: readonly Exchange[] | null,
  ): void {
    const firstTextAt = this.#firstTextAt;
    this.#turns.markEnded(this.#id, { state, at: this.#clock.wallTime(), firstTextAt, errorCode, exchanges });
  }
}
