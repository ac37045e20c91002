/**
 * Runs one turn. It sends the message, takes what Claude and the client do, decides what happens when a deadline
 * expires, and feeds all of it as events to the turn's loop.
 */

import { getLogger } from "@logtape/logtape";
import type { ClaudeEvent, Exit } from "../claude/agent-process.ts";
import type { Config } from "../config/schema.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { contentText } from "../core/dialogue.ts";
import { RequestError } from "../core/errors.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import { REPLY_TOOL } from "../plugin/reply-tool.ts";
import type { TurnStore } from "../store/turns.ts";
import type { HookBody } from "../wire/hooks.ts";
import { TurnAnswers } from "./answers.ts";
import { type Deadline, Deadlines } from "./deadlines.ts";
import { type DeliveredTurn, failedWithoutText, type TurnMessage, truncationOf } from "./delivered-turn.ts";
import { IdleWatch } from "./idle-watch.ts";
import { Interruption } from "./interruption.ts";
import { ModelRetries } from "./model-retries.ts";
import type { ProgressFormatter } from "./progress.ts";
import { Receipt } from "./receipt.ts";
import type { ResponseStream } from "./response-stream.ts";
import { StoredTurn } from "./stored-turn.ts";
import { type TranscriptSource, TranscriptSync } from "./transcript-sync.ts";
import type { TurnContext, TurnProcess } from "./turn-context.ts";
import { TurnLoop, type TurnParts } from "./turn-loop.ts";
import { awaitsReceipt, newTurn, type Phase, type ToolResults } from "./turn-state.ts";
import { TurnUsage } from "./turn-usage.ts";

const log = getLogger(["synthesis", "turn"]);

/** The tool with which Claude answers in tool mode. It does nothing else, so a request that used it may be retried. */
const REPLY = `${TOOL_PREFIX}${REPLY_TOOL.name}`;

export interface TurnRunnerDeps extends TranscriptSource {
  readonly config: Config;
  readonly turns: TurnStore;
  readonly process: TurnProcess;
  readonly response: ResponseStream;
  /** The turn's id, a uuid. Absent for the first turn of the response, which has the response's id. */
  readonly id?: string;
  readonly sessionKey: string;
  readonly claudeSession: string;
  /** The client's trace, from its `traceparent` header. */
  readonly traceId: string | null;
  readonly message: TurnMessage;
  readonly progress: ProgressFormatter;
  /** Called when the turn is parked. */
  readonly onParked: () => void;
  readonly clock?: Clock;
}

export class TurnRunner {
  readonly #deps: TurnRunnerDeps;
  readonly #turn: TurnContext;
  readonly #parts: TurnParts;
  readonly #receipt: Receipt;
  readonly #loop: TurnLoop;

  constructor(deps: TurnRunnerDeps) {
    const { config, turns, process, response, sessionKey, message, onParked, clock = systemClock } = deps;
    const { id = response.id } = deps;
    const turn: TurnContext = {
      id,
      sessionKey,
      config,
      clock,
      process,
      state: () => this.#loop.state,
      dispatch: (event) => this.#loop.dispatch(event),
    };
    const stored = new StoredTurn(id, sessionKey, turns, clock);
    const transcript = new TranscriptSync(turn, deps);
    this.#deps = deps;
    this.#turn = turn;
    this.#parts = {
      answers: new TurnAnswers(response, message.fingerprints, {
        isContinuation: message.isContinuation,
        onDisconnect: () => this.interrupt(null),
      }),
      stored,
      transcript,
      usage: new TurnUsage(transcript, stored, () => process.reportedUsage(id)),
      deadlines: new Deadlines(turn, (deadline) => this.#expire(deadline)),
      idleWatch: new IdleWatch(turn, transcript),
      interruption: new Interruption(turn),
      modelRetries: new ModelRetries(clock, (error) => {
        if (this.#phase === "running") this.interrupt(error);
      }),
    };
    this.#receipt = new Receipt(turn, message, this.#parts);
    this.#loop = new TurnLoop(turn, newTurn(id, config.reply), this.#parts, onParked);
  }

  get id(): string {
    return this.#turn.id;
  }

  get claudeSession(): string {
    return this.#deps.claudeSession;
  }

  get #phase(): Phase {
    return this.#loop.state.phase;
  }

  /** Resolves when Claude is free for the next turn, or has exited. */
  get idle(): Promise<void> {
    return this.#loop.idle;
  }

  /** Resolves when the turn has ended and its response is closed. */
  get finished(): Promise<void> {
    return this.#loop.finished;
  }

  /** Aborted when Claude no longer works on the turn for a client. */
  get workEnded(): AbortSignal {
    return this.#loop.workEnded;
  }

  /** Nothing more is sent to the turn's client. */
  get isSilent(): boolean {
    return this.#loop.state.silent;
  }

  /** Claude's ids of the calls whose results the parked turn waits for; null when it is not parked. */
  get awaitedCalls(): readonly string[] | null {
    if (this.#phase !== "parked") return null;
    return this.#loop.state.calls.filter(({ isWithClient }) => isWithClient).map(({ id }) => id);
  }

  /** The error that the client has received; null while there is none. */
  get error(): RequestError | null {
    return this.#loop.error;
  }

  /** The model has answered the turn's message. */
  get hasModelAnswer(): boolean {
    return this.#loop.hasModelAnswer;
  }

  /** The stream of the newest answer. */
  get response(): ResponseStream {
    return this.#parts.answers.response;
  }

  /** The last message that Claude wrote, where it was reported; it may be only a part of the answer. */
  get lastMessage(): string | null {
    return this.#loop.state.lastMessage ?? null;
  }

  /** Ends an answer that was held back: it is valid. @param text of the answer */
  accept(text: string): void {
    this.response.endHeld(text);
    this.#loop.accept();
  }

  /** Notes that the answer that is held back was not valid, and that Claude repeats it in the next turn. */
  reject(): void {
    this.response.dropHeld();
    this.#loop.reject();
  }

  /** Ends an answer that was held back with an error. */
  fail(error: RequestError): void {
    this.#loop.fail(error);
  }

  /** What the turn has delivered to Claude; null when Claude has not received it. */
  get delivered(): DeliveredTurn | null {
    if (!this.#loop.state.received) return null;
    const { traceId, message } = this.#deps;
    const { dropped, history, hadHistory, volatile } = message;
    const code = this.#loop.error?.code ?? null;
    const { hasText } = this.#parts.stored;
    return {
      turn: this.id,
      traceId,
      dropped,
      history,
      exchanges: this.#loop.exchanges,
      hadHistory,
      volatile,
      answered: this.#loop.isAnswered,
      truncation: truncationOf(code, hasText),
      hasFailed: failedWithoutText(code, hasText),
    };
  }

  /** Whether a hook's prompt is this turn's. */
  ownsPrompt(id: string | undefined): boolean {
    return id !== undefined && this.#loop.state.promptId === id;
  }

  /** Stores the turn and sends its message. False when the plugin is not connected. */
  async start(): Promise<boolean> {
    const { response, sessionKey, claudeSession, traceId, process, message } = this.#deps;
    const { content, attachments: _attachments, isContinuation: _isContinuation, ...delivery } = message;
    const { answers, deadlines, idleWatch, stored } = this.#parts;
    deadlines.start();
    // A message that could not be stored must not be sent: after a restart nothing would be known of it.
    const { createdAt: queuedAt, processOrigin: origin } = response;
    const processOrigin = origin === "waiting" ? null : origin;
    await stored.sending({ claudeSession, traceId, queuedAt, processOrigin, ...delivery });
    // Claude may be done before the next line runs.
    idleWatch.noteSending();
    if (!this.#receipt.send()) {
      stored.ended("failed", "message_not_received", null);
      return false;
    }
    log.info("message sent", {
      session: sessionKey,
      turn: this.id,
      pid: process.pid,
      characters: contentText(content).length,
    });
    response.isSent = true;
    deadlines.arm();
    answers.watchClient();
    return true;
  }

  /** Continues the parked turn with the client's results. What Claude writes from now on goes to `response`. */
  resume(response: ResponseStream, results: ToolResults): void {
    const { answers, deadlines } = this.#parts;
    log.info("results received", { session: this.#deps.sessionKey, turn: this.id, results: results.size });
    deadlines.unpark();
    // Claude has waited for the client, so its silence does not count.
    this.#deps.process.noteOutput();
    answers.begin(response);
    this.#loop.dispatch({ type: "resume", results });
    answers.watchClient();
  }

  /** Continues the parked turn after a reply to its question. @param fingerprints of the messages with the reply */
  continueWith(response: ResponseStream, fingerprints: readonly string[]): void {
    this.#parts.answers.beginExchange(fingerprints);
    this.resume(response, new Map());
  }

  /** Sends the last answer of the parked turn again. The turn stays parked. */
  repeat(response: ResponseStream): void {
    log.info("answer sent again", { session: this.#deps.sessionKey, turn: this.id });
    this.#parts.answers.repeat(response);
  }

  /** Ends the parked turn. @param why the result, for Claude, of each call that has none in `results` */
  abandon(results: ToolResults, why: string): void {
    log.info("parked turn abandoned: {why}", { session: this.#deps.sessionKey, turn: this.id, why });
    this.#loop.dispatch({ type: "abandon", results, why });
  }

  /** Ends the turn before Claude has finished. @param error for the client, null when it has disconnected */
  interrupt(error: RequestError | null): void {
    if (this.#phase === "parked") this.abandon(new Map(), error?.message ?? "The client has disconnected.");
    this.#loop.dispatch({ type: "interrupt", error });
  }

  /** Ends the client's answer with a question, and parks the turn. */
  askClient(text: string): void {
    this.#loop.dispatch({ type: "ask_client", text });
  }

  /** Adds a text of ours to the answer, a paragraph of its own in Claude's text. */
  note(text: string): void {
    this.#loop.dispatch({ type: "note", text });
  }

  /** Resolves when the turn is not parked, at once or later. */
  async whenUnparked(): Promise<void> {
    while (this.#phase === "parked") await this.#parts.answers.unparked;
  }

  /** Takes what Claude does, in the order in which it happens. */
  handle(event: ClaudeEvent): void {
    switch (event.type) {
      case "hook":
        this.#handleHook(event.hook);
        break;
      case "reply":
        this.#loop.dispatch({ type: "reply", content: event.frame.content, final: event.frame.final });
        break;
      case "call":
      case "call_cancelled":
        this.#loop.dispatch(event);
        break;
      case "status":
        this.#parts.idleWatch.check();
        break;
      case "api":
        if (event.activity.what === "broken_off") this.#loop.dispatch({ type: "broken_off" });
        this.#parts.modelRetries.note(event.activity, this.#phase === "running" && !this.#deps.process.hasOwnRetries);
        break;
      case "rows":
        this.#parts.transcript.noteRows();
        break;
      case "connection":
        if (event.open) this.#receipt.sendAfterReconnect();
        break;
      case "exit":
        void this.#handleExit(event.exit);
    }
  }

  #handleHook(hook: HookBody): void {
    const isOwn = this.ownsPrompt(hook.prompt_id);
    if (hook.hook_event_name === "PreToolUse" && hook.tool_use_id !== undefined) {
      this.#parts.usage.noteToolUse(hook, isOwn);
      this.#parts.transcript.notePath(hook.transcript_path);
    }
    if (isOwn) this.#showProgress(hook);
    this.#noteTool(hook);
    const mayContinue = hook.hook_event_name === "Stop" && isOwn && this.#deps.process.mayContinueAfterStop;
    this.#loop.dispatch({ type: "hook", hook, at: this.#turn.clock.now(), mayContinue });
    // The hook may have been the receipt.
    if (this.ownsPrompt(hook.prompt_id)) this.#parts.transcript.notePath(hook.transcript_path);
  }

  /** Records the uses of tools, those of subagents among them. */
  #noteTool(hook: HookBody): void {
    const isStart = hook.hook_event_name === "PreToolUse";
    const isEnd = hook.hook_event_name === "PostToolUse" || hook.hook_event_name === "PostToolUseFailure";
    if (!(isStart || isEnd) || hook.tool_use_id === undefined || hook.tool_name === REPLY) return;
    if (this.ownsPrompt(hook.prompt_id)) this.#parts.stored.noteTool(hook.tool_use_id, hook.tool_name, isEnd);
  }

  /** Shows the client what Claude does. */
  #showProgress(hook: HookBody): void {
    if (this.#phase !== "running" || this.#loop.state.silent) return;
    if (hook.hook_event_name === "PreToolUse" && hook.tool_name !== REPLY) this.#parts.answers.noteToolUse();
    const line = this.#deps.progress(hook);
    if (line !== null) this.#parts.answers.response.push({ type: "progress", text: line });
  }

  async #handleExit({ signal, code }: Exit): Promise<void> {
    // If Claude had received the message, the message must not be sent to the next process.
    if (awaitsReceipt(this.#loop.state)) await this.#receipt.find();
    const message = `Claude Code exited during this turn (${signal ?? `exit code ${code}`}). The next message resumes it.`;
    this.#loop.dispatch({ type: "fail", error: new RequestError("claude_exited", message) });
  }

  #expire(deadline: Deadline): void {
    switch (deadline) {
      case "receipt":
        void this.#receipt.handleTimeout();
        break;
      case "status":
        this.#parts.idleWatch.check();
        this.#checkProgress();
        break;
      case "progress":
        this.#checkProgress();
        break;
      case "client":
        this.abandon(new Map(), "The client did not send the result in time.");
        break;
      case "closing":
        this.#loop.dispatch({ type: "closing_timeout" });
        this.#parts.deadlines.arm();
        break;
      case "interruption":
        // Claude is idle and has recorded no interruption in this time, so there was nothing to interrupt.
        if (this.#parts.idleWatch.hasGoneIdle) this.#loop.dispatch({ type: "idle" });
        else if (this.#parts.interruption.insist()) this.#parts.deadlines.arm();
    }
  }

  #checkProgress(): void {
    const { overdue } = this.#parts.deadlines;
    if (overdue) this.interrupt(overdue);
    else this.#parts.deadlines.arm();
  }
}
