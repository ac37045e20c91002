/**
 * Conversations of responses whose clients keep the history themselves, without the ids of our items. A request joins one
 * when its history is exactly what went over the wire there, as in an unnamed chat.
 */
import type { WireChain } from "../intake/wire-chain.ts";
import type { ResponseStream } from "../turn/response-stream.ts";
import { chainOf, isWhole } from "./unnamed.ts";

interface ResponseChat {
  readonly chain: WireChain;
  /** Of the newest request. */
  readonly response: ResponseStream;
  readonly usesFunctions: false;
}

export class ResponseChats {
  /** By the keys of their conversations. */
  readonly #chats = new Map<string, ResponseChat>();

  /** The conversation whose last answer is the last one in a request's history; null when there is none. */
  find({ answered }: WireChain): string | null {
    if (answered === null) return null;
    return [...this.#chats].find(([, chat]) => isWhole(chat.response) && chainOf(chat) === answered)?.[0] ?? null;
  }

  /**
   * Notes the newest request of a conversation.
   * @param begins it is the first one; any other must have the whole history, or the conversation is not found by one
   */
  note(key: string, chain: WireChain, response: ResponseStream, begins: boolean): void {
    const last = this.#chats.get(key);
    if (begins || (last && chainOf(last) === chain.answered)) {
      this.#chats.set(key, { chain, response, usesFunctions: false });
    } else this.#chats.delete(key);
  }

  forget(key: string): void {
    this.#chats.delete(key);
  }
}
