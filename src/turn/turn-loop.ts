/**
 * The core of a running turn: feeds every event to the reducer, performs the outputs, and sets the deadline that the
 * new state needs. It ends the turn once, stores how it ended, and closes its response.
 */

import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { RequestError } from "../core/errors.ts";
import { clientCallId, type ToolCall } from "../core/tools.ts";
import type { Exchange } from "../store/schema.ts";
import type { TurnAnswers } from "./answers.ts";
import type { Deadlines } from "./deadlines.ts";
import type { IdleWatch } from "./idle-watch.ts";
import type { Interruption } from "./interruption.ts";
import type { ModelRetries } from "./model-retries.ts";
import { reduceTurn } from "./reducer.ts";
import type { StoredTurn } from "./stored-turn.ts";
import type { TranscriptSync } from "./transcript-sync.ts";
import type { TurnContext } from "./turn-context.ts";
import { hasEnded, isUnderWay, type TurnEvent, type TurnOutput, type TurnState } from "./turn-state.ts";
import type { TurnUsage } from "./turn-usage.ts";

const log = getLogger(["synthesis", "turn"]);

/** The parts of a turn on which outputs are performed. */
export interface TurnParts {
  readonly answers: TurnAnswers;
  readonly stored: StoredTurn;
  readonly transcript: TranscriptSync;
  readonly usage: TurnUsage;
  readonly deadlines: Deadlines;
  readonly idleWatch: IdleWatch;
  readonly interruption: Interruption;
  readonly modelRetries: ModelRetries;
}

export class TurnLoop {
  readonly #turn: TurnContext;
  readonly #parts: TurnParts;
  readonly #onParked: () => void;
  #state: TurnState;
  #error: RequestError | null = null;
  #isReadingTranscript = false;
  /** What became of an answer that was checked after the turn; null for one that was not, or was valid. */
  #rejection: "repeated" | "failed" | null = null;
  readonly #idle = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<void>();
  readonly #workEnded = new AbortController();

  /** @param onParked called when the turn is parked */
  constructor(turn: TurnContext, state: TurnState, parts: TurnParts, onParked: () => void) {
    this.#turn = turn;
    this.#state = state;
    this.#parts = parts;
    this.#onParked = onParked;
  }

  get state(): TurnState {
    return this.#state;
  }

  /** The error that the client has received; null while there is none. */
  get error(): RequestError | null {
    return this.#error;
  }

  /** Resolves when Claude is free for the next turn. */
  get idle(): Promise<void> {
    return this.#idle.promise;
  }

  /** Resolves when the turn has ended and its response is closed. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** Aborted when Claude no longer works on the turn for a client. */
  get workEnded(): AbortSignal {
    return this.#workEnded.signal;
  }

  /** Claude has answered the turn's message. */
  get isAnswered(): boolean {
    const { phase, isAbandoned } = this.#state;
    return (phase === "done" || phase === "settling") && !isAbandoned && this.#rejection === null;
  }

  /** The model has answered the turn's message. */
  get hasModelAnswer(): boolean {
    return this.isAnswered && !this.#state.isRefused;
  }

  /** The turn's exchanges as fingerprints. */
  get exchanges(): readonly Exchange[] {
    // A settling turn still receives text.
    const isComplete = this.#state.phase === "done" && this.isAnswered;
    const all = this.#parts.answers.delivered(isComplete, this.#error !== null);
    return this.#rejection === "repeated" ? all.slice(0, -1) : all;
  }

  /** Records that the answer was checked after the turn, is valid, and was sent to the client. */
  accept(): void {
    this.#parts.stored.ended("done", null, this.exchanges);
  }

  /** Records that the answer was not valid. Its last exchange belongs to the next turn, in which Claude repeats it. */
  reject(): void {
    this.#rejection = "repeated";
    this.#parts.stored.ended("done", null, this.exchanges);
  }

  /** Records that the answer was not valid, and sends the client the error. */
  fail(error: RequestError): void {
    this.#rejection = "failed";
    this.#sendError(error);
    this.#parts.answers.response.close();
    this.#parts.stored.ended("failed", error.code, this.exchanges);
  }

  dispatch(event: TurnEvent): void {
    const { answers, deadlines, idleWatch, stored, transcript, usage } = this.#parts;
    const before = this.#state;
    const [state, outputs] = reduceTurn(before, event);
    this.#state = state;
    if (state.received && !before.received) idleWatch.noteReceipt();
    if (state.hasSentText) stored.noteText();
    for (const output of outputs) this.#perform(output);
    transcript.noteChange((id) => usage.isSubagentCall(id));
    if (state.pendingStop && state.pendingStop !== before.pendingStop) {
      deadlines.arm();
      // Claude may be idle already. Then its status does not change any more.
      idleWatch.check();
    }
    if (state.phase === before.phase) return;
    if (before.phase === "parked") answers.unpark();
    // Without a reason the signal would create an exception, which is slow.
    if (!isUnderWay(state)) this.#workEnded.abort("ended");
    deadlines.arm();
    if (state.phase === "answered") answers.close(usage.endWithFinalReply(answers.response.wantsUsage));
    if (hasEnded(state)) this.#end(state.phase);
  }

  #perform(output: TurnOutput): void {
    const { answers, deadlines, idleWatch, interruption, stored, transcript, usage } = this.#parts;
    const { process, sessionKey, id } = this.#turn;
    switch (output.type) {
      case "received":
        stored.received(output.promptId);
        deadlines.arm();
        break;
      case "text":
      case "finish":
      case "usage":
        answers.response.push(output);
        break;
      case "calls":
        this.#parkOnCalls(output.calls);
        break;
      case "question_asked":
        deadlines.park();
        answers.park({ type: "finish" }, usage.endWithQuestion());
        this.#onParked();
        break;
      case "result":
        process.tools.answer(output.id, output.result.content, output.result.isError);
        break;
      case "error":
        this.#sendError(output.error);
        break;
      case "interrupt":
        idleWatch.noteWork();
        deadlines.arm();
        void transcript.awaitInterruption(interruption.start());
        break;
      case "free":
        this.#setIdle();
        break;
      case "unsolicited":
        log.warning("reply ignored: no client waits for it", { session: sessionKey, turn: id });
        break;
      case "diverged":
        log.warning("text sent differs from the transcript", { session: sessionKey, turn: id });
        break;
      case "read_failure":
        void transcript.readFailure(output.path);
        break;
      case "read_transcript":
        this.#isReadingTranscript = true;
        void this.#completeFromTranscript(output.path);
    }
  }

  #parkOnCalls(calls: readonly ToolCall[]): void {
    const { answers, deadlines, usage } = this.#parts;
    const { sessionKey, id } = this.#turn;
    log.info("tool calls sent to the client", { session: sessionKey, turn: id, calls: calls.length });
    answers.noteToolUse();
    deadlines.park();
    const end = { type: "calls", calls: calls.map((call) => ({ ...call, id: clientCallId(id, call.id) })) } as const;
    answers.park(end, usage.endWithCalls(calls));
    this.#onParked();
  }

  #sendError(error: RequestError): void {
    const { response } = this.#parts.answers;
    const { sessionKey, id } = this.#turn;
    log.warning("turn failed: {code}", { session: sessionKey, turn: id, code: error.code });
    this.#error = error;
    response.sendError(error);
    // A failed turn ends now, with its token usage. An interruption may take seconds more.
    if (this.#state.phase !== "failed") response.close();
  }

  /** Lets the next turn start, but not while Claude may still read an interrupt, which would stop that turn. */
  #setIdle(): void {
    const { phase } = this.#state;
    const unreadMs = this.#parts.interruption.unreadMs(phase === "settling" || phase === "done");
    if (unreadMs > 0) this.#turn.clock.after(unreadMs, this.#idle.resolve);
    else this.#idle.resolve();
  }

  async #completeFromTranscript(path: string | null): Promise<void> {
    const { process } = this.#turn;
    // The client gets the end of its answer first. Its usage would be a part of that.
    if (!this.#parts.answers.response.wantsUsage) await setImmediate();
    const record = await this.#parts.transcript.readTurn(path);
    process.stopHooks = record?.stopHooks ?? process.stopHooks;
    const usage = record && this.#parts.usage.endTurn(record.calls);
    this.dispatch({ type: "transcript", texts: record?.texts ?? null, usage });
    this.#close();
  }

  /** Stores how the turn has ended. The response stays open for the token usage, which follows. */
  #end(state: "done" | "failed" | "interrupted"): void {
    const { answers, deadlines, stored } = this.#parts;
    const { sessionKey: session, id: turn } = this.#turn;
    answers.unwatchClient();
    // A message that Claude does not have, although the turn is done, was refused by a hook.
    const hasFailed = this.#error !== null || (state === "done" && !this.#state.received);
    stored.ended(hasFailed ? "failed" : state, this.#error?.code ?? null, this.exchanges);
    log.info("turn {state}", { state, session, turn, ms: Math.round(deadlines.ageMs) });
    if (state !== "done" || !this.#isReadingTranscript) void this.#endWithoutText();
  }

  /** Ends a turn whose transcript is read only for its token usage. */
  async #endWithoutText(): Promise<void> {
    const { answers, usage } = this.#parts;
    const hasExited = this.#turn.process.state === "exited";
    const known = this.#state.received
      ? await usage.endTurnEarly(hasExited, this.#state.phase === "interrupted")
      : null;
    if (known && this.#state.phase === "failed") answers.response.push({ type: "usage", usage: known });
    this.#close();
  }

  #close(): void {
    const { answers, deadlines, idleWatch, interruption, modelRetries } = this.#parts;
    for (const part of [deadlines, idleWatch, modelRetries, interruption]) part.close();
    answers.response.close();
    this.#finished.resolve();
  }
}
