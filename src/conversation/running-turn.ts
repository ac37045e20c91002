/**
 * The turn that runs, and the requests that it waits for. A turn is parked while it waits for its client to send tool
 * results or to answer a permission prompt. Requests that do so join the turn. All others wait in the queue.
 */

import type { OfferedTools } from "../claude/offered-tools.ts";
import { clientCallId, plainId } from "../core/tools.ts";
import { isRetry, type RequestFingerprint, requestFingerprint } from "../intake/request-retry.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import { type ChatPrompt, readVerdict } from "../permissions/chat-answers.ts";
import type { PermissionPrompts } from "../permissions/prompts.ts";
import type { ResponseStream } from "../turn/response-stream.ts";
import type { TurnRunner } from "../turn/runner.ts";
import type { ToolResults } from "../turn/turn-state.ts";
import {
  type AwaitedCalls,
  isAnswerTo,
  isShownWhole,
  type SaveFile,
  splitToolResults,
  toolResults,
} from "./tool-results.ts";
import type { QueuedTurn } from "./turn-queue.ts";

/** What Claude reads as the result of a call whose result is sent as a message. */
const RESULT_FOLLOWS = "The result follows in the next message.";
/** What Claude reads as the result of a call, or the verdict on a prompt, when the user sends another message. */
const USER_MOVED_ON = "The user sent another message instead.";

interface RunningTurnDeps {
  readonly runner: TurnRunner;
  readonly tools: Pick<OfferedTools, "offer">;
  /** The request that the turn began with. */
  readonly request: TurnRequest;
  readonly prompts: Pick<PermissionPrompts, "chatPrompt" | "closeChatPrompt">;
  readonly permissions: Pick<PermissionBroker, "answer">;
  /** Null for a Claude that cannot read files. */
  readonly saveFile: SaveFile | null;
  /** Takes a request whose turn ended while it was about to join. */
  readonly onLate: (turn: QueuedTurn) => void;
}

export class RunningTurn {
  readonly runner: TurnRunner;
  readonly #deps: RunningTurnDeps;
  /** The request whose answer the client received last, or receives now. */
  #lastRequest: RequestFingerprint;
  #request: TurnRequest;
  /** The client's context as Claude has it, so that it is not sent with each round of results. */
  #context: string;
  /** Tool results are on their way to Claude. */
  #isResuming = false;

  constructor(deps: RunningTurnDeps) {
    this.runner = deps.runner;
    this.#deps = deps;
    this.#lastRequest = requestFingerprint(deps.request);
    this.#request = deps.request;
    this.#context = contextOf(deps.request);
  }

  /** The request that the newest answer is for. */
  get request(): TurnRequest {
    return this.#request;
  }

  /** Whether the turn is parked and a request is what it waits for, so that the request need not queue. */
  awaits(request: TurnRequest): boolean {
    if (this.isRetry(request)) return true;
    const prompt = this.#deps.prompts.chatPrompt;
    if (prompt) return readVerdict(request.input, request.sender, prompt) !== null;
    const calls = this.#awaitedCalls;
    return calls !== null && isAnswerTo(request.input, calls);
  }

  /**
   * Lets a request join the turn if the turn waits for it. Any other request ends a parked turn, because the user no
   * longer wants its answer.
   * @returns what has to queue; null when the request has joined
   */
  join(turn: QueuedTurn): QueuedTurn | null {
    if (this.isRetry(turn.request)) {
      this.repeat(turn.response);
      return null;
    }
    const prompt = this.#deps.prompts.chatPrompt;
    if (prompt) return this.#answerPrompt(prompt, turn);
    const calls = this.#awaitedCalls;
    return calls ? this.#takeResults(calls, turn) : turn;
  }

  /** Whether the turn is parked, and a request repeats the last one because the client lost the answer to it. */
  isRetry(request: TurnRequest): boolean {
    return this.#awaitedCalls !== null && isRetry(request, this.#lastRequest);
  }

  /** Whether the turn waits for results of the client's tools, and for no person. */
  get awaitsResults(): boolean {
    return (this.#awaitedCalls?.ids.length ?? 0) > 0 && this.#deps.prompts.chatPrompt === null;
  }

  /** Whether a request has the result of a call that the turn waits for. No other turn has a call with that id. */
  hasResultFor({ input }: TurnRequest): boolean {
    const calls = this.#awaitedCalls;
    if (calls === null) return false;
    const ids = calls.ids.map((id) => clientCallId(calls.turn, id));
    return input.messages.some((message) => message.role === "tool" && ids.includes(plainId(message.callId)));
  }

  /** Gives the last answer again. The turn stays parked. */
  repeat(response: ResponseStream): void {
    response.processOrigin = "warm";
    this.runner.repeat(response);
  }

  /** The calls whose results a parked turn waits for; null when the turn is not parked, or results are on their way. */
  get #awaitedCalls(): AwaitedCalls | null {
    const { id: turn, awaitedCalls: ids } = this.runner;
    return this.#isResuming || ids === null ? null : { turn, ids };
  }

  /** Continues the turn with the verdict in a request. A request without one denies the prompt and ends the turn. */
  #answerPrompt(prompt: ChatPrompt, turn: QueuedTurn): QueuedTurn | null {
    const { prompts, permissions } = this.#deps;
    const { request, response } = turn;
    const { input, sender } = request;
    const { id } = prompt.pending;
    prompts.closeChatPrompt();
    const behavior = readVerdict(input, sender, prompt);
    if (behavior === null) {
      permissions.answer(id, { behavior: "deny", way: "spoke", by: sender });
      this.runner.abandon(new Map(), USER_MOVED_ON);
      return turn;
    }
    response.processOrigin = "warm";
    this.#note(request);
    this.runner.continueWith(response, input.newFingerprints);
    permissions.answer(id, { behavior, way: "chat", by: sender });
    return null;
  }

  /** Continues the turn with the results in a request. A request with anything else ends it, and queues without them. */
  #takeResults(calls: AwaitedCalls, turn: QueuedTurn): QueuedTurn | null {
    const { request, response } = turn;
    const { input } = request;
    const { saveFile } = this.#deps;
    const matched = splitToolResults(input.messages, calls);
    if (saveFile === null && !(isAnswerTo(input, calls) && input.messages.every(isShownWhole))) {
      // The message of a dialogue has the results, too. It is not limited as results are, of which a Claude that cannot
      // read files would not get all.
      this.runner.abandon(new Map(), matched.results.size > 0 ? RESULT_FOLLOWS : USER_MOVED_ON);
      return turn;
    }
    if (!isAnswerTo(input, calls)) {
      this.runner.abandon(toolResults(matched, "", saveFile), USER_MOVED_ON);
      return { request: { ...request, input: { ...input, messages: matched.rest } }, response };
    }
    const context = contextOf(request);
    const results = toolResults(matched, context === this.#context ? "" : context, saveFile);
    this.#context = context;
    response.processOrigin = "warm";
    void this.#resume(turn, results);
    return null;
  }

  /** Continues the turn once Claude has the tools that the client offers now. */
  async #resume(turn: QueuedTurn, results: ToolResults): Promise<void> {
    const { request, response } = turn;
    this.#isResuming = true;
    await this.#deps.tools.offer(request.offer.catalogue);
    this.#isResuming = false;
    if (this.runner.awaitedCalls) {
      this.#note(request);
      this.runner.resume(response, results);
    } else this.#deps.onLate(turn);
  }

  #note(request: TurnRequest): void {
    this.#lastRequest = requestFingerprint(request);
    this.#request = request;
  }
}

const contextOf = ({ input }: TurnRequest): string => input.context.join("\n\n");
