/**
 * The chats of requests that name no conversation. A request joins a chat when it has the result of one of its calls, or
 * when its history is exactly what went over the wire in that chat. Any other request begins anew. After an answer the
 * process of a chat lingers for a while, so that the next request finds it. A request whose process need not linger is
 * no chat but a one-shot, which has no record and no slot and so costs less.
 */
import { getLogger } from "@logtape/logtape";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../core/clock.ts";
import { type Identity, oneShotIdentity, unnamedIdentity } from "../intake/identity.ts";
import type { ParsedRequest } from "../intake/parsed-request.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import { chainAfter, type WireChain, wireChain } from "../intake/wire-chain.ts";
import type { ResponseStream } from "../turn/response-stream.ts";
import { isShownWhole } from "./tool-results.ts";

const log = getLogger(["synthesis", "conversation"]);

/** How long a process waits for the next request of its chat, in ms. */
const LINGER_MS = 300_000;
/**
 * After this many first requests in a row without one that continues a chat, the processes of few first answers linger,
 * because programs that ask only once should not pay for chats. A chat that goes beyond its first answer always lingers.
 */
const FIRST_ANSWERS = 8;
/** How many first requests come to one whose process lingers then. */
const FEW_EVERY = 32;

/** The conversations, as unnamed chats need them. */
export interface UnnamedConversations {
  /** The key of the unnamed conversation whose parked turn waits for a result in this request; null when there is none. */
  ownerOfCalls(request: TurnRequest): string | null;
  submit(identity: Identity, request: TurnRequest): ResponseStream;
  /** Ends an unnamed conversation and its process. */
  remove(key: string): void;
}

interface Chat {
  readonly chain: WireChain;
  /** Its client knows no ids of calls. */
  readonly usesFunctions: boolean;
  /** Of the newest request. */
  readonly response: ResponseStream;
  /** The process has received exactly what went over the wire. */
  readonly isExact: boolean;
  /** Its process lingers after the answer. */
  readonly mayLinger: boolean;
}

/** A chat whose process waits for the request that continues it. */
interface LingeringChat {
  readonly key: string;
  /** The chain that this request must have. */
  readonly chain: string;
  readonly cancelTimer: () => void;
}

export class UnnamedChats {
  readonly #config: Pick<Config, "maxLingering">;
  readonly #clock: Clock;
  readonly #conversations: UnnamedConversations;
  /** By the keys of their conversations. */
  readonly #chats = new Map<string, Chat>();
  /** The chat that lingers longest comes first. */
  #lingering: readonly LingeringChat[] = [];
  /** How many first requests have come since a request last continued a chat. */
  #notContinued = 0;

  constructor(config: Pick<Config, "maxLingering">, clock: Clock, conversations: UnnamedConversations) {
    this.#config = config;
    this.#clock = clock;
    this.#conversations = conversations;
  }

  /**
   * Whether the process of an ordinary request should linger. It is decided when the request arrives, so that any other
   * request without tools can be answered as a one-shot.
   */
  expectsNext({ messages }: Pick<ParsedRequest, "messages">): boolean {
    if (this.#config.maxLingering === 0) return false;
    if (messages.some(({ role }) => role === "assistant")) return true;
    this.#notContinued += 1;
    return this.#notContinued <= FIRST_ANSWERS || this.#notContinued % FEW_EVERY === 0;
  }

  /** @param mayLinger the process may linger after the answer */
  submit(parsed: ParsedRequest, request: TurnRequest, mayLinger: boolean): ResponseStream {
    const { owner: caller } = request;
    const chain = wireChain(parsed, caller);
    const owner = this.#findOwner(request, chain.answered);
    const known = owner ?? this.#take(chain.answered);
    // A process in a terminal has no dialogue, and its conversation is a one-shot that may call tools.
    const begun = request.dialogue === null ? oneShotIdentity(caller) : unnamedIdentity(caller);
    const identity = known === null ? begun : { ...begun, key: known };
    const response = this.#conversations.submit(identity, {
      ...request,
      continuesDialogue: owner === null && known !== null,
    });
    // A request that was refused leaves its chat as it was.
    if (response.error !== null) return response;
    if (known !== null) this.#notContinued = 0;
    const isExact = known === null || this.#continues(known, chain);
    const { usesFunctions } = parsed;
    this.#chats.set(identity.key, { chain, usesFunctions, response, isExact, mayLinger });
    // No request continues an answer that its client has not received, so its process is not kept.
    response.disconnected.addEventListener("abort", () => {
      if (response.isTruncated && this.#chats.get(identity.key)?.response === response) {
        this.#conversations.remove(identity.key);
      }
    });
    return response;
  }

  /** The chat whose calls wait for the results in a request; null when there is none that could be given all of them. */
  #findOwner(request: TurnRequest, chain: string | null): string | null {
    const owner = this.#conversations.ownerOfCalls(request) ?? this.#awaiting(chain);
    if (owner === null || request.input.messages.every(isShownWhole)) return owner;
    // This Claude cannot read files. A new process is given the same results as messages, which have no such limit.
    this.#conversations.remove(owner);
    return null;
  }

  /** Whether the history of a request is exactly what went over the wire in this chat. */
  #continues(key: string, { answered }: WireChain): boolean {
    const chat = this.#chats.get(key);
    return chat?.isExact === true && answered === chainOf(chat);
  }

  /** The chat that waits for the result of a call without an id: it is found by its history, as after an answer. */
  #awaiting(chain: string | null): string | null {
    const isAwaiting = (chat: Chat) =>
      chat.usesFunctions && chat.isExact && chat.response.end?.type === "calls" && chainOf(chat) === chain;
    return [...this.#chats].find(([, chat]) => isAwaiting(chat))?.[0] ?? null;
  }

  /** Takes the chat that a request continues, so that no other request can. */
  #take(chain: string | null): string | null {
    const chat = this.#lingering.find((one) => one.chain === chain);
    if (!chat) return null;
    this.#stopLingering(chat);
    log.debug("unnamed chat continued", { session: chat.key });
    return chat.key;
  }

  /** Whether a chat stays after a turn. */
  keeps(key: string): boolean {
    const chat = this.#chats.get(key);
    const { maxLingering } = this.#config;
    if (!chat?.mayLinger || !chat.isExact || !isWhole(chat.response)) return false;
    const chain = chainOf(chat);
    if (chain === null) return false;
    const cancelTimer = this.#clock.after(LINGER_MS, () => this.#conversations.remove(key));
    this.#lingering = [...this.#lingering, { key, chain, cancelTimer }];
    for (const surplus of this.#lingering.slice(0, -maxLingering)) {
      this.#stopLingering(surplus);
      this.#conversations.remove(surplus.key);
    }
    return true;
  }

  /** The conversation of a chat has ended. */
  forget(key: string): void {
    this.#chats.delete(key);
    const lingering = this.#lingering.find((one) => one.key === key);
    if (lingering) this.#stopLingering(lingering);
  }

  #stopLingering(chat: LingeringChat): void {
    chat.cancelTimer();
    this.#lingering = this.#lingering.filter((one) => one !== chat);
  }
}

/** The chain after the newest answer of a chat; null when it has not ended. */
export function chainOf({
  chain,
  usesFunctions,
  response: { text, end },
}: Pick<Chat, "chain" | "usesFunctions" | "response">): string | null {
  if (end === null) return null;
  const calls = end.type === "calls" ? end.calls : [];
  return chainAfter(chain.whole, { text, calls: usesFunctions ? calls.map((call) => ({ ...call, id: null })) : calls });
}

/** Whether an answer is complete, and its client has received it. */
export const isWhole = ({ end, error, isTruncated }: ResponseStream): boolean =>
  end?.type === "finish" && end.reason === undefined && error === null && !isTruncated;
