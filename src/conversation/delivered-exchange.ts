/** The conversation as Claude knows it: a list of the exchanges that it has received. */
import type { Exchange } from "../store/schema.ts";

/** An exchange that Claude has received. */
export interface DeliveredExchange extends Exchange {
  /** The turn that delivered it. */
  readonly turn: string;
  /** Claude has answered it. The client may keep, drop or repeat a message that was never answered. */
  readonly answered: boolean;
  /** Claude could not answer it, and wrote no part of an answer. */
  readonly hasFailed: boolean;
  /** The exchange as that turn records it. */
  readonly recorded: Exchange;
}
