/** The turn requests of one conversation that wait for its current turn to end. */
import type { TurnRequest } from "../intake/turn-request.ts";
import type { ResponseStream } from "../turn/response-stream.ts";

/** A turn request and the stream of its answer. */
export interface QueuedTurn {
  readonly request: TurnRequest;
  readonly response: ResponseStream;
}

export class TurnQueue {
  #turns: QueuedTurn[] = [];

  get length(): number {
    return this.#turns.length;
  }

  /** The waiting requests, oldest first. */
  get requests(): readonly TurnRequest[] {
    return this.#turns.map(({ request }) => request);
  }

  /** Appends a turn. It leaves the queue when its client disconnects. */
  push(turn: QueuedTurn): void {
    this.#turns.push(turn);
    turn.response.disconnected.addEventListener("abort", () => this.removeWhere((one) => one === turn));
  }

  /** Removes the oldest turn. */
  shift(): QueuedTurn | undefined {
    return this.#turns.shift();
  }

  /** Removes the turns that match. @returns them, oldest first */
  removeWhere(matches: (turn: QueuedTurn) => boolean): readonly QueuedTurn[] {
    const removed = this.#turns.filter(matches);
    if (removed.length > 0) this.#turns = this.#turns.filter((turn) => !removed.includes(turn));
    return removed;
  }

  /** Removes all turns. @returns them, oldest first */
  clear(): readonly QueuedTurn[] {
    return this.#turns.splice(0);
  }
}
