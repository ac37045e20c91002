/** What a turn delivers to Claude, and what the next delivery has to know of it. */

import type { MessageContent } from "../core/dialogue.ts";
import type { Exchange } from "../store/schema.ts";
import type { SentTurn } from "../store/turns.ts";

/** The message that starts a turn, and what is stored to recognise it in later requests. */
export interface TurnMessage extends Pick<SentTurn, "fingerprints" | "hadHistory" | "dropped" | "volatile"> {
  readonly content: MessageContent;
  readonly history: readonly Exchange[];
  /** Attributes of its channel tag: the paths of its images and files. */
  readonly attachments: Readonly<Record<string, string>>;
  /** The client has begun the answer itself, and the answer that it keeps includes that beginning. */
  readonly isContinuation: boolean;
}

/** One turn whose message Claude has received. */
export interface DeliveredTurn {
  /** The turn's id. */
  readonly turn: string;
  /** The client's trace. All requests of one run share it, retries included. */
  readonly traceId: string | null;
  /** How many of the exchanges before this turn it made obsolete. */
  readonly dropped: number;
  /** Earlier exchanges that this turn delivered, or by which the session was recognised. */
  readonly history: readonly Exchange[];
  /** The turn's own exchanges. There are several when Claude asked a question in the middle of the turn. */
  readonly exchanges: readonly Exchange[];
  /** Whether the client's request had a history; null when that was not recorded. */
  readonly hadHistory: boolean | null;
  /** Fingerprint of the volatile part of the system prompt, if this turn delivered it. */
  readonly volatile: string | null;
  /** Claude has answered it. */
  readonly answered: boolean;
  /**
   * Why the client may have only a part of the answer, when Claude does not know that. `lost`: the server died, and
   * what the client received is unknown. `failed`: an error followed some text. An interruption is not listed here,
   * since Claude records it.
   */
  readonly truncation: "lost" | "failed" | null;
  /** It ended with an error before any text, so the client may have got the answer from another model. */
  readonly hasFailed: boolean;
}

/**
 * How an error truncated the answer of its turn; null when the answer had not begun, and for an interruption, which
 * Claude records itself.
 * @param code of the error
 */
export const truncationOf = (code: string | null, hasBegun: boolean): DeliveredTurn["truncation"] =>
  hasBegun && isFailure(code) ? "failed" : null;

/** Whether an error ended its turn before the answer had begun. @param code of the error */
export const failedWithoutText = (code: string | null, hasBegun: boolean): boolean => !hasBegun && isFailure(code);

const isFailure = (code: string | null): boolean => code !== null && code !== "turn_interrupted";
