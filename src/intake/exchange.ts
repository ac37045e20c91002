/**
 * A conversation as a list of exchanges, each what the user's side said and what the assistant answered. In this form
 * the client's history is compared with what Claude has been sent.
 */
import type { Exchange } from "../store/schema.ts";
import { answerFingerprint, plainText } from "./fingerprint.ts";

/** An exchange that Claude knows of. */
export interface DeliveredExchange extends Exchange {
  /** The turn that delivered it. */
  readonly turn: string;
  /** Claude has answered it. The client may keep, drop or send again what was never answered. */
  readonly answered: boolean;
  /** What is noted of it with that turn. */
  readonly noted: Exchange;
}

/** An exchange in the history of a request. */
export class ClientExchange {
  readonly users: string[] = [];
  readonly #userTexts: string[] = [];
  /** Where it begins in the history as it is given to Claude. */
  readonly at: number;
  /** The assistant has said something in it, if only by calling a tool. */
  isAnswered = false;
  /** Results of its tools come with this request: what the client has of the answer is its beginning. */
  isOpen = false;
  #answer = "";
  #answerFingerprint: string | null = null;

  constructor(at: number) {
    this.at = at;
  }

  addUser(fingerprint: string, text: string): void {
    this.users.push(fingerprint);
    this.#userTexts.push(text);
  }

  /** The text of a user's message, as texts are compared. It takes time and is seldom needed, so it is made then. */
  userText(at: number): string {
    return plainText(this.#userTexts.at(at) ?? "");
  }

  addAnswer(text: string): void {
    this.isAnswered = true;
    this.#answer += `${text}\n`;
    this.#answerFingerprint = null;
  }

  /** Hashed when it is needed: a history may be long, and most requests are compared by little of it. */
  get answer(): string {
    this.#answerFingerprint ??= answerFingerprint(this.#answer);
    return this.#answerFingerprint;
  }

  toExchange(): Exchange {
    return { users: this.users, answer: this.answer };
  }
}
