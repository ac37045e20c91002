/**
 * The text of a one-shot's answer. Claude Code reports it twice: token by token while the model writes, and again when a
 * message is complete. Tokens are sent at once, but the complete messages are the answer. The two differ when the
 * connection to the model breaks in the middle of a message and Claude Code makes the request again.
 */
import { cutsText } from "../claude/stop-reason.ts";
import { paragraphBreak } from "../turn/text-assembler.ts";

export class AnswerText {
  /** The text that has been sent to the client. */
  sent = "";
  /** Whether sent tokens belong to a message that Claude Code has abandoned. */
  #isAbandoned = false;
  /** The message of the last token. */
  #lastMessage = "";
  /** The complete texts, by message. */
  readonly #complete = new Map<string, string>();
  /** Why the model stopped, by message. */
  readonly #stopReasons = new Map<string, string>();

  /** Adds tokens of a message. @returns the text to send to the client, which may be empty */
  addTokens(message: string, tokens: string): string {
    if (this.#isAbandoned || tokens === "") return "";
    const text = this.#separator(this.sent, this.#lastMessage, message) + tokens;
    this.#lastMessage = message;
    this.sent += text;
    return text;
  }

  /** Adds a complete part of a message. */
  addComplete(message: string, text: string): void {
    this.#complete.set(message, (this.#complete.get(message) ?? "") + text);
  }

  /** Records that the model has stopped writing a message. */
  stop(message: string, reason: string): void {
    this.#stopReasons.set(message, reason);
  }

  /** Records that Claude Code has abandoned a message and repeats its request to the model. */
  abandon(message: string): void {
    this.#isAbandoned = this.sent !== "";
    this.#complete.delete(message);
  }

  /** The complete answer. */
  get whole(): string {
    let whole = "";
    let last = "";
    for (const [message, text] of this.#complete) {
      if (text === "") continue;
      whole += this.#separator(whole, last, message) + text;
      last = message;
    }
    return whole;
  }

  /**
   * Completes the text that was sent.
   * @param whole the complete answer
   * @returns what is missing, which counts as sent; null when what was sent is not the beginning of the answer
   */
  complete(whole: string): string | null {
    if (!whole.startsWith(this.sent)) return null;
    const rest = whole.slice(this.sent.length);
    this.sent = whole;
    return rest;
  }

  /** Adds a message of Claude Code's own as the last paragraph. @returns the text to send */
  addParagraph(text: string): string {
    const paragraph = paragraphBreak(this.sent) + text;
    this.sent += paragraph;
    return paragraph;
  }

  /** The separator between `text`, which ends with message `last`, and the text of message `next`. */
  #separator(text: string, last: string, next: string): string {
    const isContinued = text === "" || last === next || cutsText(this.#stopReasons.get(last));
    return isContinued ? "" : paragraphBreak(text.slice(-2));
  }
}
