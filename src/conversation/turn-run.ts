/**
 * One turn under way: feeds claude's events to the reducer, does what it puts out, keeps the turn's
 * deadlines, and writes down in the store how it goes.
 */
import { getLogger } from "@logtape/logtape";
import type { ClaudeEvent, ClaudeProcess } from "../claude/process.ts";
import { findPrompt, readInterruption, readTurn, type TurnRecord } from "../claude/transcript.ts";
import type { Config } from "../config/schema.ts";
import { ApiError } from "../openai/errors.ts";
import type { Turns } from "../store/turns.ts";
import type { Reply } from "./reply.ts";
import { newTurn, type Phase, reduceTurn, type TurnEvent, type TurnOutput } from "./turn.ts";

const log = getLogger(["synthesis", "turn"]);

/** From the interruption to claude's record of it. */
const INTERRUPT_MS = 5_000;
/** Escape is pressed again when claude still works after this. */
const PRESS_AGAIN_MS = 1_500;
/** `Stop` comes within milliseconds of claude's being idle. */
const LOST_STOP_MS = 3_000;
/** How long a client that has its answer waits for the token figures. */
const FIGURES_MS = 500;

export interface TurnRunDeps {
  readonly config: Config;
  readonly turns: Turns;
  readonly process: ClaudeProcess;
  readonly reply: Reply;
  readonly sessionKey: string;
  readonly text: string;
  /** Bytes of the transcript that are older than this turn, if it is known already. */
  readonly transcriptAt: number;
  /** Where claude's transcript is; null while there is none. */
  readonly findTranscript: () => Promise<string | null>;
}

export class TurnRun {
  /** Resolves when claude is free for the next turn, or gone. */
  readonly freed: Promise<void>;
  /** Resolves when nothing more can come of this turn. */
  readonly over: Promise<void>;

  readonly #deps: TurnRunDeps;
  readonly #free = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  readonly #leave = () => this.interrupt(null);
  #state;
  #deadline: Timer | undefined;
  #lostStop: Timer | undefined;
  #again = false;
  #error: ApiError | null = null;
  #startedAt = 0;
  #receivedAt = 0;
  #firstTextAt: number | null = null;
  #reading = false;
  #interruptedAt = 0;

  constructor(deps: TurnRunDeps) {
    this.#deps = deps;
    this.#state = newTurn(deps.reply.id, deps.config.reply);
    this.freed = this.#free.promise;
    this.over = this.#over.promise;
  }

  get id(): string {
    return this.#state.id;
  }

  /** Sends the message. False when there is no connection to send it through. */
  start(): boolean {
    const { reply, sessionKey, turns, process, text } = this.#deps;
    this.#startedAt = Date.now();
    // Before it is sent: what cannot be written down must not be done either.
    turns.sent({ id: this.id, session: sessionKey, traceId: reply.traceId, sentAt: this.#startedAt });
    if (!this.#send()) {
      const end = { state: "failed", at: Date.now(), firstTextAt: null, errorCode: "message_not_received" } as const;
      this.#record(() => turns.ended(this.id, end));
      return false;
    }
    log.info("message sent", { session: sessionKey, turn: this.id, pid: process.pid, characters: text.length });
    this.#armDeadline();
    reply.left.addEventListener("abort", this.#leave);
    if (reply.left.aborted) this.#leave();
    return true;
  }

  take(event: ClaudeEvent): void {
    if (event.type === "hook") {
      this.#reduce({ type: "hook", hook: event.hook, at: Date.now() });
    } else if (event.type === "reply") {
      this.#reduce({ type: "reply", content: event.frame.content, final: event.frame.final });
    } else if (event.type === "status") {
      this.#checkIdle();
    } else if (event.type === "connection") {
      // The socket may have dropped with the message in it. The plugin knows the ids it has passed on.
      if (event.open && this.#phase === "sent") this.#send();
    } else if (event.type === "exit") {
      const how = event.exit.signal ?? `exit code ${event.exit.code}`;
      const message = `Claude Code ended in the middle of this turn (${how}).`;
      this.#reduce({ type: "fail", error: new ApiError("claude_exited", message) });
    }
  }

  /**
   * claude's own word that it is done. In tool mode it counts at once, since hooks may be forbidden; in live
   * mode `Stop` is on its way, and only when it is lost does this end the turn.
   */
  #checkIdle(): void {
    const isIdle = () => {
      if (this.#phase !== "running" && this.#phase !== "answered") return false;
      const { status } = this.#deps.process;
      return status?.status === "idle" && status.since > this.#receivedAt;
    };
    if (this.#deps.config.reply === "tool") {
      if (isIdle()) this.#reduce({ type: "idle" });
    } else {
      clearTimeout(this.#lostStop);
      this.#lostStop = setTimeout(() => {
        if (isIdle()) this.#reduce({ type: "idle" });
      }, LOST_STOP_MS);
    }
  }

  /** Ends the turn before claude does. @param error what the client is told, null when it has left */
  interrupt(error: ApiError | null): void {
    this.#reduce({ type: "interrupt", error });
  }

  get #phase(): Phase {
    return this.#state.phase;
  }

  get #awaitsReceipt(): boolean {
    return !this.#state.taken && (this.#phase === "sent" || this.#phase === "interrupting");
  }

  #send(again = false): boolean {
    return this.#deps.process.send(this.id, this.#deps.sessionKey, this.#deps.text, again);
  }

  #reduce(event: TurnEvent): void {
    const before = this.#phase;
    const [state, outputs] = reduceTurn(this.#state, event);
    this.#state = state;
    if (state.spoken) this.#firstTextAt ??= Date.now();
    for (const output of outputs) this.#put(output);
    if (state.phase === before) return;
    this.#armDeadline();
    // The client has its answer. The figures are not known before claude is done, and that may take long.
    if (state.phase === "answered") setTimeout(() => this.#deps.reply.close(), FIGURES_MS);
    if (state.phase === "failed" || state.phase === "interrupted" || state.phase === "done") this.#end(state.phase);
  }

  #put(output: TurnOutput): void {
    const { reply, process, turns, sessionKey } = this.#deps;
    switch (output.type) {
      case "received":
        this.#receivedAt = Date.now();
        this.#record(() => turns.received(this.id, sessionKey, this.#receivedAt, output.promptId));
        this.#armDeadline();
        break;
      case "text":
      case "finish":
        reply.put(output);
        break;
      case "usage":
        this.#record(() => turns.usage(this.id, output.usage));
        reply.put(output);
        break;
      case "error":
        log.warning("turn failed: {code}", { session: sessionKey, turn: this.id, code: output.error.code });
        this.#error = output.error;
        reply.fail(output.error);
        break;
      case "interrupt":
        this.#interruptedAt = Date.now();
        process.pressEscape();
        void this.#awaitInterruption();
        break;
      case "free":
        this.#free.resolve();
        break;
      case "unsolicited":
        log.warning("reply ignored: nobody waits for it", { session: sessionKey, turn: this.id });
        break;
      case "diverged":
        log.warning("the text shown is not the text recorded", { session: sessionKey, turn: this.id });
        break;
      case "read_transcript":
        this.#reading = true;
        void this.#readTranscript(output.path);
    }
  }

  async #readTranscript(named: string | null): Promise<void> {
    let record: TurnRecord | null = null;
    try {
      const path = named ?? (await this.#deps.findTranscript());
      record = path ? await readTurn(path, this.id, this.#deps.transcriptAt) : null;
    } catch (error) {
      // What was streamed has to do.
      this.#noteUnreadable(error);
    }
    this.#reduce({ type: "transcript", texts: record?.texts ?? null, usage: record?.usage ?? null });
    this.#close();
  }

  /** Writes down how it goes. A turn under way does not fail because that fails. */
  #record(write: () => void): void {
    try {
      write();
    } catch (error) {
      log.error("turn not written down: {error}", { session: this.#deps.sessionKey, turn: this.id, error });
    }
  }

  #noteUnreadable(error: unknown): void {
    log.warning("transcript not readable: {error}", { session: this.#deps.sessionKey, turn: this.id, error });
  }

  /** The turn has its end; after `done` the token figures are still awaited. */
  #end(state: "done" | "failed" | "interrupted"): void {
    const { reply, turns, sessionKey } = this.#deps;
    reply.left.removeEventListener("abort", this.#leave);
    this.#record(() =>
      turns.ended(this.id, {
        state: this.#error ? "failed" : state,
        at: Date.now(),
        firstTextAt: this.#firstTextAt,
        errorCode: this.#error?.code ?? null,
      }),
    );
    log.info("turn {state}", { state, session: sessionKey, turn: this.id, ms: Date.now() - this.#startedAt });
    // A turn that is done without `Stop` has no transcript to wait for.
    if (state !== "done" || !this.#reading) this.#close();
  }

  #close(): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.#lostStop);
    this.#deps.reply.close();
    this.#over.resolve();
  }

  /** The one deadline that the turn's phase has. */
  #armDeadline(): void {
    clearTimeout(this.#deadline);
    const after = (ms: number, then: () => void) => {
      this.#deadline = setTimeout(then, ms);
    };
    if (this.#awaitsReceipt) {
      after(this.#deps.config.receiptTimeoutMs, () => void this.#checkReceipt());
    } else if (this.#phase === "running" || this.#phase === "answered") {
      const { turnTimeoutMs, progressTimeoutMs } = this.#deps.config;
      const left = Math.min(
        this.#startedAt + turnTimeoutMs - Date.now(),
        this.#deps.process.lastSignAt + progressTimeoutMs - Date.now(),
      );
      after(Math.max(left, 0), () => this.#checkProgress());
    } else if (this.#phase === "interrupting") {
      after(PRESS_AGAIN_MS, () => this.#checkInterrupted());
    }
  }

  /** No receipt in time: is claude busy with something else, was the hook lost, or was the message? */
  async #checkReceipt(): Promise<void> {
    const { process, findTranscript, transcriptAt } = this.#deps;
    let promptId: string | null = null;
    try {
      const path = await findTranscript();
      promptId = path ? await findPrompt(path, this.id, transcriptAt) : null;
    } catch (error) {
      this.#noteUnreadable(error);
    }
    if (!this.#awaitsReceipt) return;
    if (promptId !== null) {
      // When it was taken up is not known; if claude is idle by now, it is done with it.
      this.#reduce({ type: "receipt", promptId });
      this.#receivedAt = this.#startedAt;
      this.#checkIdle();
    } else if (process.status?.status === "busy" && Date.now() - this.#startedAt < this.#deps.config.turnTimeoutMs) {
      // The message is in claude's own queue.
      this.#armDeadline();
    } else if (this.#phase === "sent" && !this.#again && this.#send(true)) {
      this.#again = true;
      log.warning("no receipt, message sent again", { session: this.#deps.sessionKey, turn: this.id });
      this.#armDeadline();
    } else {
      // It must not be taken up later, when nobody waits for it.
      void process.stop();
      this.#reduce({
        type: "fail",
        error: new ApiError("message_not_received", "Claude Code did not take the message. Try again.", null, 1),
      });
    }
  }

  #checkProgress(): void {
    const { turnTimeoutMs, progressTimeoutMs } = this.#deps.config;
    const now = Date.now();
    if (now - this.#startedAt >= turnTimeoutMs) {
      this.interrupt(
        new ApiError("turn_timeout", `Claude Code worked for ${turnTimeoutMs} ms without an end and was stopped.`),
      );
    } else if (now - this.#deps.process.lastSignAt >= progressTimeoutMs) {
      this.interrupt(
        new ApiError("turn_timeout", `Claude Code showed no sign of life for ${progressTimeoutMs} ms and was stopped.`),
      );
    } else this.#armDeadline();
  }

  /**
   * claude's record of the interruption is the last it writes of a turn. Its status is idle before that,
   * and a message that comes in between is recorded in front of the interrupted tool's result.
   */
  async #awaitInterruption(): Promise<void> {
    try {
      const path = await this.#deps.findTranscript();
      const signal = AbortSignal.timeout(INTERRUPT_MS);
      const found = path && (await readInterruption(path, this.id, this.#deps.transcriptAt, signal));
      if (found) this.#reduce({ type: "idle" });
    } catch (error) {
      // The deadline of the interruption looks at claude's status instead.
      this.#noteUnreadable(error);
    }
  }

  #checkInterrupted(): void {
    const { process } = this.#deps;
    const { status } = process;
    if (status?.status === "idle" && status.since > this.#interruptedAt) {
      // Idle for long and no record of it: there was nothing yet to record.
      this.#reduce({ type: "idle" });
    } else if (Date.now() - this.#interruptedAt >= INTERRUPT_MS) {
      log.warning("claude does not let itself be interrupted", { session: this.#deps.sessionKey, pid: process.pid });
      process.kill();
    } else {
      // A key can be lost. While claude works a second one does no harm; at its prompt it would.
      if (status?.status === "busy") process.pressEscape();
      this.#armDeadline();
    }
  }
}
