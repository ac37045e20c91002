/**
 * One conversation: its queue of requests, and the turn that runs. It runs one turn at a time, because Claude merges
 * messages that it receives together.
 */
import { getLogger } from "@logtape/logtape";
import type { AgentProcess } from "../claude/agent-process.ts";
import type { Pool } from "../claude/pool/pool.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { RequestError } from "../core/errors.ts";
import type { SessionFigures } from "../core/session-figures.ts";
import { type Identity, isEphemeral } from "../intake/identity.ts";
import type { ParsedRequest } from "../intake/parsed-request.ts";
import { looksLikeSideRequest, type RequestShape } from "../intake/request-shape.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { SchemaChecker } from "../json-schema/checker.ts";
import type { Rejections } from "../limits/rejections.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import type { FiguresStore } from "../store/figures.ts";
import type { SessionRow } from "../store/schema.ts";
import type { ResponseStream } from "../turn/response-stream.ts";
import type { TurnRunner } from "../turn/runner.ts";
import { findAnsweredTurn } from "./delivery-plan.ts";
import { ProcessLease } from "./process-lease.ts";
import { ConversationRecord, type RecordDeps } from "./record.ts";
import { replayAnswer } from "./replay.ts";
import type { RunningTurn } from "./running-turn.ts";
import type { SessionCosts } from "./session-costs.ts";
import { type QueuedTurn, TurnQueue } from "./turn-queue.ts";
import { ConversationTurns, NotSent } from "./turns.ts";

const log = getLogger(["synthesis", "conversation"]);

const CHAT_ENDED = new RequestError("turn_interrupted", "This chat has ended. Send the request again.");
/** What Claude reads as the result of a call when the turn ends before the client has sent it. */
const SLOT_TAKEN = "The client did not send the result, and another conversation needed this process.";

export interface ConversationDeps extends RecordDeps {
  readonly pool: Pool;
  readonly permissions: PermissionBroker;
  readonly figures: Pick<FiguresStore, "noteSession">;
  readonly costs: SessionCosts;
  readonly checker: SchemaChecker;
  readonly rejections: Rejections;
}

/** A request that has been served. */
interface ServedRequest {
  /** How long Claude worked on it; null when Claude never received it. */
  readonly ms: number | null;
  /** The error that its client received; null when there was none. */
  readonly error: RequestError | null;
  /** The model has answered it. */
  readonly hasModelAnswer: boolean;
  /** The workspace whose settings count; null when Claude reads the user's only. */
  readonly workspace: string | null;
  /** The model that it asked for; null for Claude Code's default model. */
  readonly model: string | null;
  /** The response to it. */
  readonly response: ResponseStream;
  /** The client disconnected before the end of its answer. */
  readonly isTruncated: boolean;
  /** Resolves when all of its answer has been written: Claude is free before the end of its text has arrived. */
  readonly finished: Promise<void>;
}

export interface ConversationListener {
  onTurn(served: ServedRequest): void;
  /** Whether an unnamed conversation stays after a turn, because its next request may follow. */
  keeps(): boolean;
  /** The conversation has no process, and no request waits or runs. */
  onRest(): void;
}

export class Conversation {
  readonly identity: Identity;
  readonly #deps: ConversationDeps;
  readonly #clock: Clock;
  readonly #listener: ConversationListener;
  readonly #record: ConversationRecord;
  readonly #turns: ConversationTurns;
  readonly #lease: ProcessLease;
  readonly #queue = new TurnQueue();
  /** Changes of the process or the record. They are made between two turns, before the next request is served. */
  readonly #changes: (() => Promise<void>)[] = [];
  /** The changes that `end` waits for. */
  readonly #ending = new Set<Promise<void>>();
  #isWorking = false;
  /** The request that is being served, from its place at the head of the queue until Claude is free again. */
  #serving: QueuedTurn | null = null;
  /** When the message of that request was sent to Claude, on the monotonic clock; null before. */
  #sentAt: number | null = null;
  /** When the turn was parked last, on the monotonic clock. */
  #parkedAt = 0;
  /** The shape of the newest request, by which side requests are recognised. Null before the first one. */
  #shape: RequestShape | null = null;
  /** Why requests are refused; null while they are accepted. */
  #refusal: RequestError | null = null;

  constructor(identity: Identity, deps: ConversationDeps, listener: ConversationListener) {
    this.identity = identity;
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
    this.#listener = listener;
    this.#record = new ConversationRecord(identity, deps);
    this.#turns = new ConversationTurns({
      ...deps,
      clock: this.#clock,
      sessionKey: identity.key,
      record: this.#record,
      onParked: (turn) => this.#handleParked(turn),
      onLate: (turn) => (this.#refusal ? turn.response.fail(this.#refusal) : this.#enqueue(turn)),
    });
    this.#lease = new ProcessLease(
      identity,
      { ...deps, clock: this.#clock, record: this.#record },
      {
        isServing: () => this.#serving !== null,
        isOwnMessage: (messageId) => this.#turns.isOwnMessage(messageId),
        onEvent: (process, event) => {
          if (event.type === "figures" && process.figures) this.#noteFigures(process, process.figures);
          this.#turns.handleEvent(process, event);
          if (event.type === "exit") this.#handleExit();
        },
        onPermission: (hook, signal) => this.#turns.askPermission(hook, () => this.#serving?.request, signal),
        parkedSince: () => {
          const waitsForPerson = deps.permissions.pending.some(({ session }) => session === identity.key);
          return this.#running?.awaitsResults && !waitsForPerson ? this.#parkedAt : null;
        },
        releaseParked: () => {
          if (isEphemeral(identity.source)) this.remove();
          else this.#running?.runner.abandon(new Map(), SLOT_TAKEN);
        },
        betweenTurns: (change) => {
          this.#changes.push(async () => {
            await change();
            if (!this.hasProcess && this.#isDone) this.remove();
          });
          void this.#work();
        },
      },
    );
  }

  get #running(): RunningTurn | null {
    return this.#turns.running;
  }

  /** How many requests wait: behind a turn, or for a process. */
  get waiting(): number {
    return this.#queue.length + (this.#serving && !this.hasProcess ? 1 : 0);
  }

  /** Claude has received more than one message. */
  get hasBeenContinued(): boolean {
    return this.#record.delivered.all.length > 1;
  }

  /** A request is being served, or Claude works on an external prompt. */
  get isBusy(): boolean {
    return this.#lease.isBusy();
  }

  /** The model of the newest request; undefined before the first one is served. */
  get newestModel(): string | null | undefined {
    const newest = this.#pending.at(-1);
    return newest === undefined ? this.#record.model : newest.model;
  }

  /** The fingerprints of the user's messages in each request that waits or is being served. */
  get pendingFingerprints(): readonly (readonly string[])[] {
    return this.#pending.map(({ input }) => input.newFingerprints);
  }

  get #pending(): readonly TurnRequest[] {
    return [...(this.#serving ? [this.#serving.request] : []), ...this.#queue.requests];
  }

  /** Claude works on a request of a client, or waits for the client. */
  get runsTurn(): boolean {
    return this.#running !== null;
  }

  /** The turn waits for its client: for results or for a verdict. */
  get isParked(): boolean {
    return this.#running !== null && this.#running.runner.awaitedCalls !== null;
  }

  get hasProcess(): boolean {
    return this.process !== null;
  }

  /** The process, in any state; null when none runs. */
  get process(): AgentProcess | null {
    return this.#lease.process;
  }

  /** The state as `synthesis sessions` shows it. `cold` means that no process could take a message now. */
  get state(): "idle" | "busy" | "starting" | "cold" {
    if (this.#running || this.#lease.hasExternalPrompt) return "busy";
    if (this.#serving) return "starting";
    return this.process?.state === "ready" ? "idle" : "cold";
  }

  /** Whether the turn that runs waits for this request, so that it need not queue. */
  awaits(request: TurnRequest): boolean {
    return this.#running?.awaits(request) ?? false;
  }

  /** Whether a request has a result that the turn waits for. */
  hasResultFor(request: TurnRequest): boolean {
    return this.#running?.hasResultFor(request) ?? false;
  }

  /**
   * Whether a request that names this conversation is a side request about it, such as a request for a title. It is
   * compared with an earlier turn, so this is false before the first one.
   */
  isSideRequest(request: ParsedRequest): boolean {
    return this.#shape !== null && looksLikeSideRequest(this.#shape, request, this.#pending.length > 0);
  }

  /** Takes a request: it joins the turn that waits for it, or queues. */
  submit(turn: QueuedTurn): void {
    this.#shape = turn.request.shape;
    const rest = this.#running ? this.#running.join(turn) : turn;
    if (rest) this.#enqueue(rest);
  }

  #enqueue(turn: QueuedTurn): void {
    this.#queue.push(turn);
    void this.#work();
  }

  /** Refuses requests from now on. Requests that wait fail, and a turn that waits for its client ends. */
  refuse(error: RequestError): void {
    this.#refusal = error;
    if (this.#running?.runner.awaitedCalls) this.#running.runner.interrupt(error);
    this.#failWaiting(error);
  }

  /** Fails the requests whose message has not been sent to Claude. */
  #failWaiting(error: RequestError): void {
    for (const { response } of this.#queue.clear()) response.fail(error);
    if (this.#serving && !this.#running) {
      this.interrupt(error);
      void this.#lease.stop();
    }
  }

  /** Ends the request that is being served, or an external prompt. False when there is none. */
  interrupt(error: RequestError): boolean {
    if (this.#running) this.#running.runner.interrupt(error);
    else if (this.#serving) {
      this.#serving.response.fail(error);
      this.#serving.response.disconnect();
    } else return this.#lease.interruptExternalPrompt();
    return true;
  }

  /**
   * Ends a turn that runs, or whose request waits.
   * @param turn its id; a request has that of the turn that it would begin
   * @returns false when it does neither
   */
  interruptTurn(turn: string, error: RequestError): boolean {
    if (this.#running?.runner.id === turn || this.#serving?.response.id === turn) return this.interrupt(error);
    const waiting = this.#queue.removeWhere(({ response }) => response.id === turn);
    for (const { response } of waiting) response.fail(error);
    return waiting.length > 0;
  }

  /**
   * Fails all requests with `error`, stops the process, and makes a change to the record. Requests that come meanwhile
   * are served afterwards.
   */
  end(error: RequestError, change: (record: ConversationRecord) => Promise<void>): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#changes.push(async () => {
      try {
        await this.#lease.stop();
        // Finished turns still record their token usage.
        await this.#turns.finished();
        resolve(await change(this.#record));
      } catch (cause) {
        reject(cause);
      }
    });
    this.#failWaiting(error);
    this.interrupt(error);
    void this.#lease.stop();
    void this.#work();
    this.#ending.add(promise);
    const done = () => void this.#ending.delete(promise);
    promise.then(done, done);
    return promise;
  }

  /**
   * Waits until all events of a turn have arrived, unless it is parked.
   * @returns the transcript that has its answer; null when it is parked, or there is none
   */
  async transcriptOf(turn: string): Promise<string | null> {
    if (this.#running?.runner.id === turn && this.isParked) return null;
    await this.#turns.finishedTurn(turn);
    return this.#record.transcript();
  }

  /** Ends everything at once, without a change of the store: another node has the conversation. */
  abandon(error: RequestError): Promise<void> {
    this.process?.kill();
    return this.end(error, async (record) => record.forget());
  }

  /** Resolves when no turn runs and all changes have been made. */
  async idle(): Promise<void> {
    while (this.#running) {
      const { runner } = this.#running;
      await Promise.all([runner.finished, runner.idle]);
    }
    await Promise.allSettled(this.#ending);
  }

  /** No later request can name the conversation, and none waits. */
  get #isDone(): boolean {
    return isEphemeral(this.identity.source) && this.#queue.length === 0;
  }

  /** Serves the queue, one request after the other. */
  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    for (;;) {
      for (let change = this.#changes.shift(); change; change = this.#changes.shift()) await change();
      const turn = this.#queue.shift();
      if (!turn) break;
      await this.#serve(turn);
      // An unnamed chat whose process has exited after the answer has nothing that the next request could find.
      if (this.#isDone && !(this.hasProcess && this.#listener.keeps())) this.remove();
      // The process is idle until the next request, and another conversation may be waiting for its slot.
      this.#deps.pool.noteIdle();
    }
    this.#isWorking = false;
    this.#checkRest();
  }

  /** Serves one request, until Claude is free for the next one. */
  async #serve(turn: QueuedTurn): Promise<void> {
    const { request, response } = turn;
    this.#serving = turn;
    let runner: TurnRunner | null = null;
    let error: unknown = null;
    try {
      runner = await this.#answer(turn);
      error = runner?.error;
    } catch (cause) {
      error = cause;
      // It is no fault when a client disconnects while its request waits for a process slot.
      if (!(cause instanceof RequestError) && !response.disconnected.aborted) {
        log.error("unexpected error while serving a request: {error}", { session: this.identity.key, error });
      }
      response.fail(cause);
    }
    this.#serving = null;
    const clientError = error instanceof RequestError ? error : response.error;
    const ms = this.#sentAt === null ? null : this.#clock.now() - this.#sentAt;
    this.#sentAt = null;
    if (clientError || ms !== null) {
      const hasModelAnswer = !clientError && runner?.hasModelAnswer === true;
      const workspace = request.dialogue ? null : request.workspace.path;
      this.#listener.onTurn({
        ms,
        error: clientError,
        hasModelAnswer,
        workspace,
        model: request.model,
        response,
        isTruncated: (runner?.response ?? response).isTruncated,
        finished: runner?.finished ?? Promise.resolve(),
      });
    }
  }

  /** @returns the turn; null when none began */
  async #answer(turn: QueuedTurn): Promise<TurnRunner | null> {
    const { request, response } = turn;
    const session = await this.#record.sessionFor(request);
    this.#checkPrevious(request);
    const answered = findAnsweredTurn(this.#record.delivered.all, request);
    if (answered !== null && (await replayAnswer(answered, this.#record, response, session.key))) return null;
    const refused = this.#deps.rejections.admit(session.model, response.begun);
    if (refused) throw refused;
    try {
      return await this.#send(turn, session);
    } catch (error) {
      if (!(error instanceof NotSent) || error.isStored) throw error;
      log.info("claude has lost its connection, another one gets the message", { session: session.key });
      return this.#send(turn, await this.#record.sessionFor(request));
    }
  }

  /** Sends the message of a request to a process that is free. @returns the turn; null when none began @throws NotSent */
  async #send(turn: QueuedTurn, session: SessionRow): Promise<TurnRunner | null> {
    const { request, response } = turn;
    const leased = await this.#lease.acquire(request, session, response.disconnected);
    if (!leased) return null;
    response.processOrigin = leased.origin;
    for (const notice of leased.notices) response.addPreface(`[synthesis: ${notice}]\n\n`);
    if (response.disconnected.aborted) return null;
    return this.#turns.run(turn, leased, () => {
      this.#sentAt = this.#clock.now();
    });
  }

  /** @throws RequestError when the request continues a turn that Claude does not know, or that no longer counts */
  #checkPrevious({ previousTurn }: TurnRequest): void {
    const { exchanges } = this.#record.delivered;
    if (previousTurn === undefined || exchanges.some(({ turn }) => turn === previousTurn)) return;
    throw new RequestError(
      "previous_response_not_found",
      "The conversation cannot be continued from this response: Claude has not received its request, or an older response was continued since. Continue from the newest response.",
      { param: "previous_response_id" },
    );
  }

  /** The turn waits for its client. A retry that came before the answer was complete receives the same answer. */
  #handleParked(turn: RunningTurn): void {
    if (this.#refusal) {
      turn.runner.interrupt(this.#refusal);
      return;
    }
    this.#parkedAt = this.#clock.now();
    this.#deps.pool.noteIdle();
    const retries = this.#queue.removeWhere(({ request }) => turn.isRetry(request));
    for (const { response } of retries) turn.repeat(response);
  }

  /** Ends a conversation that no later request can name, and deletes everything of it. */
  remove(): void {
    this.end(CHAT_ENDED, (record) => record.remove(true)).catch((error) =>
      log.error("unnamed conversation not removed: {error}", { session: this.identity.key, error }),
    );
  }

  #noteFigures(process: AgentProcess, figures: SessionFigures): void {
    const { claudeSession, resume } = process.spec;
    if (!isEphemeral(this.identity.source)) this.#deps.figures.noteSession(this.identity.key, claudeSession, figures);
    // Over stream-json the cost of a turn comes with its result.
    if (process.engine === "stream" || figures.costUsd === null) return;
    const cost = this.#deps.costs.note(claudeSession, figures.costUsd, resume);
    if (cost) this.#turns.addCost(cost);
  }

  #handleExit(): void {
    // Its process knew everything that was said, so nothing of an unnamed chat is left.
    if (!this.#isWorking && isEphemeral(this.identity.source)) this.remove();
    this.#checkRest();
  }

  #checkRest(): void {
    if (!this.#isWorking && !this.hasProcess) this.#listener.onRest();
  }
}
