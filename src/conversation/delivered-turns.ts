/**
 * What the Claude session of a conversation has received: its turns, and the exchanges that they add up to. The next
 * delivery is planned from it.
 */

import type { Exchange, TurnRow } from "../store/schema.ts";
import { MAX_DELIVERED_TURNS } from "../store/turns.ts";
import { type DeliveredTurn, failedWithoutText, truncationOf } from "../turn/delivered-turn.ts";
import type { DeliveredExchange } from "./delivered-exchange.ts";
import { addExchanges, type DeliveryPlan, deliveredExchanges } from "./delivery-plan.ts";

export class DeliveredTurns {
  #turns: DeliveredTurn[];
  #exchanges: DeliveredExchange[];
  /** The text of the newest turn's message. The client's history is likely to show that message in other words. */
  #newestText: { readonly turn: string; readonly text: string } | null = null;

  constructor(turns: DeliveredTurn[] = []) {
    this.#turns = turns;
    this.#exchanges = deliveredExchanges(turns);
  }

  /** The turns, oldest first. */
  get all(): readonly DeliveredTurn[] {
    return this.#turns;
  }

  /** The conversation as Claude knows it, oldest first. It may reach further back than the turns. */
  get exchanges(): readonly DeliveredExchange[] {
    return this.#exchanges;
  }

  /** There may have been older turns, which are no longer remembered. */
  get isTruncated(): boolean {
    return this.#turns.length >= MAX_DELIVERED_TURNS;
  }

  /** Whether Claude has answered any of the turns. */
  get hasAnswer(): boolean {
    return this.#turns.some(({ answered }) => answered);
  }

  /** @param text of the message as it was sent */
  add(turn: DeliveredTurn, text: string): void {
    this.#turns.push(turn);
    if (this.#turns.length > MAX_DELIVERED_TURNS) this.#turns.shift();
    addExchanges(this.#exchanges, turn);
    if (this.#exchanges.length > 2 * MAX_DELIVERED_TURNS) this.#exchanges.splice(0, MAX_DELIVERED_TURNS);
    this.#newestText = { turn: turn.turn, text };
  }

  /** Replaces a turn that was added before the whole of its answer was known. */
  complete(turn: DeliveredTurn): void {
    const index = this.#turns.findLastIndex((one) => one.turn === turn.turn);
    if (index < 0 || Bun.deepEquals(this.#turns[index]?.exchanges, turn.exchanges)) return;
    this.#replace(index, turn);
  }

  /**
   * Records that the client now has the whole answer of a turn whose answer was truncated.
   * @returns the turn; null when its answer was not truncated
   */
  markAnswered(turn: string): DeliveredTurn | null {
    const index = this.#turns.findIndex((one) => one.turn === turn && one.truncation !== null);
    const known = this.#turns[index];
    if (!known) return null;
    const answered = { ...known, answered: true, truncation: null };
    this.#replace(index, answered);
    return answered;
  }

  /** Records how the client's history shows exchanges now. */
  rewrite(rewritten: DeliveryPlan["rewritten"]): void {
    if (rewritten.size === 0) return;
    const current = (exchange: Exchange) => ({ ...exchange, users: rewritten.get(exchange) ?? exchange.users });
    this.#turns = this.#turns.map((turn) => ({
      ...turn,
      history: turn.history.map(current),
      exchanges: turn.exchanges.map(current),
    }));
    this.#exchanges = deliveredExchanges(this.#turns);
  }

  /**
   * Gives `use` the texts in which turns were sent to Claude. The newest text is in memory; the others are read only when
   * `use` asks for one of them.
   * @param use pure, because it may run twice
   * @param readTexts reads the texts of all turns
   */
  async withSentTexts<T>(
    use: (sentText: (turn: string) => string | null) => T,
    readTexts: () => Promise<ReadonlyMap<string, string>>,
  ): Promise<T> {
    const newest = this.#newestText;
    let isMissing = false;
    const result = use((turn) => {
      if (turn === newest?.turn) return newest.text;
      isMissing = true;
      return null;
    });
    if (!isMissing) return result;
    const texts = await readTexts();
    return use((turn) => (turn === newest?.turn ? newest.text : (texts.get(turn) ?? null)));
  }

  #replace(index: number, turn: DeliveredTurn): void {
    this.#turns[index] = turn;
    this.#exchanges = deliveredExchanges(this.#turns);
  }
}

/** A turn as the store records it. */
export function deliveredTurn(row: TurnRow): DeliveredTurn {
  const { id, traceId, fingerprints, pastFingerprints, state, firstTextAt, errorCode, hadHistory, dropped, volatile } =
    row;
  return {
    turn: id,
    traceId,
    dropped,
    history: row.history ?? pastFingerprints.map((fingerprint) => ({ users: [fingerprint], answer: null })),
    exchanges: row.exchanges ?? [{ users: fingerprints, answer: null }],
    hadHistory,
    volatile,
    answered: state === "done",
    truncation: state === "lost" ? "lost" : truncationOf(errorCode, firstTextAt !== null),
    hasFailed: failedWithoutText(errorCode, firstTextAt !== null),
  };
}
