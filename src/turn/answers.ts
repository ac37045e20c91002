/**
 * The answers of one turn. Every client request of a turn gets its answer through its own response stream. A turn has
 * more than one answer when it is parked in between, on tool calls or on a question.
 */

import type { ResponsePart } from "../core/response-part.ts";
import type { Usage } from "../core/usage.ts";
import { answerFingerprint } from "../intake/fingerprint.ts";
import type { Exchange } from "../store/schema.ts";
import type { ResponseStream } from "./response-stream.ts";

/** Messages of the user, and the answers to them. */
interface OpenExchange {
  /** Fingerprints of the user's messages. */
  readonly users: readonly string[];
  readonly responses: ResponseStream[];
}

/** An answer that has ended, kept for a client that loses it. */
interface EndedAnswer {
  readonly text: string;
  readonly end: ResponsePart;
  readonly usage: Promise<Usage | null>;
}

export class TurnAnswers {
  #response: ResponseStream;
  readonly #exchanges: OpenExchange[];
  /** The client has begun the answer itself, so the answer that it keeps includes text of its own. */
  readonly #isContinuation: boolean;
  readonly #onDisconnect: () => void;
  /** The answer with which the turn was parked; null while it is not parked. */
  #parkedAnswer: EndedAnswer | null = null;
  #unparked = Promise.withResolvers<void>();
  /** Tools have run in this turn, or the client has received a call. */
  #haveToolsRun = false;

  /**
   * @param users fingerprints of the user's messages that the first answer answers
   * @param onDisconnect called when the client disconnects before its answer has ended
   */
  constructor(
    response: ResponseStream,
    users: readonly string[],
    { isContinuation, onDisconnect }: { isContinuation: boolean; onDisconnect: () => void },
  ) {
    this.#response = response;
    this.#exchanges = [{ users, responses: [response] }];
    this.#isContinuation = isContinuation;
    this.#onDisconnect = onDisconnect;
  }

  /** The stream of the present answer. */
  get response(): ResponseStream {
    return this.#response;
  }

  /** Starts to watch the client of the present answer. */
  watchClient(): void {
    const { disconnected } = this.#response;
    disconnected.addEventListener("abort", this.#onDisconnect);
    if (disconnected.aborted) this.#onDisconnect();
  }

  unwatchClient(): void {
    this.#response.disconnected.removeEventListener("abort", this.#onDisconnect);
  }

  /** Begins the next answer of the same exchange, after tool calls. */
  begin(response: ResponseStream): void {
    this.#exchanges.at(-1)?.responses.push(response);
    const { id, answer } = this.#response.turn;
    response.turn = { id, answer: answer + 1 };
    response.isSent = true;
    response.hasRunTools = this.#haveToolsRun;
    this.#response = response;
  }

  /** Begins the next exchange, after a question. @param users fingerprints of the messages that reply to it */
  beginExchange(users: readonly string[]): void {
    this.#exchanges.push({ users, responses: [] });
  }

  /** Notes that a tool has run. From now on the client must not retry its request without asking a person. */
  noteToolUse(): void {
    this.#haveToolsRun = true;
    this.#response.hasRunTools = true;
    this.#response.begin();
  }

  /** Ends the present answer with `end` and parks the turn. */
  park(end: ResponsePart, usage: Promise<Usage | null>): void {
    // The client has its whole answer, so it is expected to close the connection.
    this.unwatchClient();
    // Text before calls or a question is not the answer that has a format.
    this.#response.release();
    this.#response.push(end);
    this.#parkedAnswer = { text: this.#response.text, end, usage };
    this.close(usage);
  }

  /** Closes the present answer, with its token usage once that is known. */
  close(usage: Promise<Usage | null>): void {
    void closeWith(this.#response, usage);
  }

  /** Sends the answer with which the turn was parked again, to a client that has lost it. */
  repeat(response: ResponseStream): void {
    response.turn = this.#response.turn;
    if (this.#parkedAnswer === null) {
      response.close();
      return;
    }
    const { text, end, usage } = this.#parkedAnswer;
    response.isSent = true;
    response.release();
    if (text !== "") response.push({ type: "text", text });
    response.push(end);
    void closeWith(response, usage);
  }

  /** Notes that the turn is no longer parked. */
  unpark(): void {
    this.#parkedAnswer = null;
    this.#unparked.resolve();
    this.#unparked = Promise.withResolvers();
  }

  /** Resolves with the next `unpark`. */
  get unparked(): Promise<void> {
    return this.#unparked.promise;
  }

  /**
   * The turn's exchanges as fingerprints. An answer has a fingerprint only if the client received all of it.
   * @param isLastComplete the last answer has ended without an error
   */
  delivered(isLastComplete: boolean, hasFailed: boolean): readonly Exchange[] {
    return this.#exchanges.map(({ users, responses }, at) => {
      const hasEnded = at < this.#exchanges.length - 1 || isLastComplete;
      // An answer that is held back is not known to be one yet.
      const isTruncated = responses.some((response) => response.isTruncated || response.heldText !== null);
      const isWhole = hasEnded && !hasFailed && !this.#isContinuation && !isTruncated;
      return { users, answer: isWhole ? answerFingerprint(responses.map(({ text }) => text).join("\n")) : null };
    });
  }
}

async function closeWith(response: ResponseStream, usage: Promise<Usage | null>): Promise<void> {
  const known = await usage;
  if (known) response.push({ type: "usage", usage: known });
  response.close();
}
