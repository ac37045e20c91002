/**
 * The client's history as a list of exchanges. An exchange is the messages of a user and the assistant's answer to them.
 * In this form the history is compared with what Claude has been sent.
 */
import type { Exchange } from "../store/schema.ts";
import { answerFingerprint, plainText } from "./fingerprint.ts";

/** An exchange in the history of a request. */
export class ClientExchange {
  readonly users: string[] = [];
  readonly #userTexts: string[] = [];
  /** The index of its first message in the history, as Claude is given it. */
  readonly at: number;
  /** The exchange has an assistant message, which may contain only tool calls. */
  isAnswered = false;
  /** The request has the results of its tool calls, so the client has only the beginning of the answer. */
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

  /** The text of one of the user's messages in the form in which texts are compared. Computed when it is needed, which is rare. */
  userText(at: number): string {
    return plainText(this.#userTexts.at(at) ?? "");
  }

  addAnswer(text: string): void {
    this.isAnswered = true;
    this.#answer += `${text}\n`;
    this.#answerFingerprint = null;
  }

  /** The fingerprint of the answer. Computed when it is needed: most comparisons look at a small part of the history. */
  get answer(): string {
    this.#answerFingerprint ??= answerFingerprint(this.#answer);
    return this.#answerFingerprint;
  }

  toExchange(): Exchange {
    return { users: this.users, answer: this.answer };
  }
}
