/**
 * One turn under way: feeds claude's events to the reducer, does what it puts out, keeps the turn's
 * deadlines, and writes down in the store how it goes.
 */

import { getLogger } from "@logtape/logtape";
import { callIdOf } from "../api/openai-chat/tools.ts";
import type { ApiActivity } from "../claude/interactive/debug-log.ts";
import type { ClaudeEvent, Exit } from "../claude/interactive/events.ts";
import type { ClaudeProcess } from "../claude/interactive/process.ts";
import { failureFromHook, isPlanLimit } from "../claude/model-failure.ts";
import {
  findPrompt,
  readCalls,
  readFailure,
  readInterruption,
  readModelCalls,
  readRefusedPrompt,
  readSeam,
  readTurn,
} from "../claude/transcript/reader.ts";
import type { FailedTurn, RefusedPrompt, TurnRecord } from "../claude/transcript/turn-record.ts";
import { type AnswerSpan, answerUsage, FINAL_REPLY, type ModelCall, totalUsage } from "../claude/turn-usage.ts";
import type { Config } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";
import type { Usage } from "../core/usage.ts";
import { answerFingerprint } from "../intake/fingerprint.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";
import { REPLY_TOOL } from "../plugin/reply-tool.ts";
import type { Exchange } from "../store/schema.ts";
import type { SentTurn, TurnStore } from "../store/turns.ts";
import type { HookBody } from "../wire/hooks.ts";
import { collectCallBatch } from "./call-batch.ts";
import { type DeliveredTurn, truncationOf } from "./delivered-turn.ts";
import { hasGoneIdle, markWork } from "./idle.ts";
import { Interruption, PRESS_AGAIN_MS } from "./interruption.ts";
import { MODEL_RETRY_MS, outcomeOf } from "./model-error.ts";
import type { ProgressFormatter } from "./progress.ts";
import {
  isCollectingCalls,
  newTurn,
  type Phase,
  reduceTurn,
  type ToolResults,
  type TurnEvent,
  type TurnOutput,
} from "./reducer.ts";
import type { ResponsePart, ResponseStream } from "./response-stream.ts";
import { awaitsJoin } from "./text-assembler.ts";

const log = getLogger(["synthesis", "turn"]);

/** The tool with which claude answers in tool mode; it does nothing else. */
const REPLY = `${TOOL_PREFIX}${REPLY_TOOL.name}`;
/** `Stop` comes within milliseconds of claude's being idle. */
const LOST_STOP_MS = 3_000;
/** How long claude may take to record a message that another one continues, or a failed request: some 100 ms as a rule. */
const RECORDED_MS = 1_000;
/** How long claude may take to record a message with calls in it; what has come by then goes out without the rest. */
const RECORD_MS = 10_000;
/** How long claude may take to take up the results of a turn that is given up. */
const TAKE_UP_MS = 1_000;
/** How often claude's status is looked at while a `Stop` may be overruled; a change of it may not be announced. */
const LOOK_AT_STATUS_MS = 1_000;
/** How long a client that has its answer waits for the token figures, when Claude has not come to its end. */
const FIGURES_MS = 500;
/** No tool use has this id: the model calls of the answer that it ends cannot be told from those of the next. */
const UNKNOWN_TOOL_USE = "unknown";

/** What is sent to Claude, and what is noted of it to recognise it later. */
interface Message extends Pick<SentTurn, "fingerprints" | "hadHistory" | "dropped" | "volatile"> {
  readonly text: string;
  readonly history: readonly Exchange[];
  /** Attributes of its channel tag: the paths of the images and files that come with it. */
  readonly attachments: Readonly<Record<string, string>>;
  /** The answer goes on from a text that the client has begun, and will hold that, too. */
  readonly isContinuation: boolean;
}

export interface TurnRunnerDeps {
  readonly config: Config;
  readonly turns: TurnStore;
  readonly process: ClaudeProcess;
  readonly response: ResponseStream;
  readonly sessionKey: string;
  readonly claudeSession: string;
  /** The client's trace, from its `traceparent` header. */
  readonly traceId: string | null;
  readonly message: Message;
  /** Bytes of the transcript that are older than this turn, if it is known already. */
  readonly transcriptAt: number;
  /** The client takes several calls at once. */
  readonly isParallel: boolean;
  readonly progress: ProgressFormatter;
  /** Told when the turn waits for the client's results. */
  readonly onParked: () => void;
  /**
   * Where claude's transcript is; null while there is none.
   * @param named where a hook says that it is, null when none has: it counts only if it can be a transcript's path
   */
  readonly findTranscript: (named: string | null) => Promise<string | null>;
}

export class TurnRunner {
  /** Resolves when claude is free for the next turn, or gone. */
  readonly idle: Promise<void>;
  /** Resolves when nothing more can come of this turn. */
  readonly finished: Promise<void>;

  readonly #deps: TurnRunnerDeps;
  readonly #free = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  readonly #leave = () => this.interrupt(null);
  #reply: ResponseStream;
  readonly #ending = new AbortController();
  #state;
  /** Where claude's hooks say that its transcript is. */
  #transcript: string | null = null;
  readonly #ofSubagents = new Set<string>();
  #isGathering = false;
  /** Something has come that may complete the calls of a message. */
  #sign = Promise.withResolvers<void>();
  /** These three are in ms of `performance.now()`: the clock on the wall may be set, or jump over a laptop's sleep. */
  #parkedAt = 0;
  #unparked = Promise.withResolvers<void>();
  /** What the user has said in this turn, and the replies to it: a new entry with each answer to a question of Claude's. */
  readonly #exchanges: { readonly users: readonly string[]; readonly replies: ResponseStream[] }[];
  /** How long the client has been waited for in all, in ms. */
  #parkedMs = 0;
  #deadline: Timer | undefined;
  #lostStop: Timer | undefined;
  #retryWait: Timer | undefined;
  /** When a model request failed that has not been answered since, in ms of `performance.now()`. */
  #failedAt: number | null = null;
  #isRequestOpen = false;
  #isJoining = false;
  #isLookingForRefusal = false;
  /** Tools have run, or a call of one has gone to the client. */
  #hasWorked = false;
  #again = false;
  #error: RequestError | null = null;
  #startedAt = 0;
  #firstTextAt: number | null = null;
  #reading = false;
  /** The newest tool use that is not a subagent's, by claude's id. */
  #newestToolUse: string | null = null;
  /** The tool use with which the answer before ended. */
  #answeredUpTo: string | null = null;
  /** The answer after which the turn waits for its client, in case that loses it; null when it does not wait. */
  #lastAnswer: { readonly text: string; readonly last: ResponsePart; readonly usage: Promise<Usage | null> } | null =
    null;
  readonly #interruption: Interruption;
  /** When claude was sent the message, had it, or was told to stop. */
  #worked = markWork(0);

  constructor(deps: TurnRunnerDeps) {
    this.#deps = deps;
    this.#reply = deps.response;
    this.#exchanges = [{ users: deps.message.fingerprints, replies: [deps.response] }];
    this.#interruption = new Interruption(deps.process, deps.sessionKey);
    this.#state = newTurn(deps.response.id, deps.config.reply);
    this.idle = this.#free.promise;
    this.finished = this.#over.promise;
  }

  /** Aborted when claude no longer works on it for a client. */
  get workEnded(): AbortSignal {
    return this.#ending.signal;
  }

  get id(): string {
    return this.#state.id;
  }

  get claudeSession(): string {
    return this.#deps.claudeSession;
  }

  /** Calls whose results the client is to bring, by claude's ids; null when it is not waited for. */
  get awaitedCalls(): readonly string[] | null {
    if (this.#phase !== "parked") return null;
    return this.#state.calls.flatMap(({ id, isOut }) => (isOut ? [id] : []));
  }

  /** What the client was told instead of an end, null when all went well so far. */
  get error(): RequestError | null {
    return this.#error;
  }

  /** Goes on with the client's results; what claude says from now on is the answer to them. */
  resume(reply: ResponseStream, results: ToolResults): void {
    const { process, sessionKey } = this.#deps;
    const now = performance.now();
    log.info("results brought", { session: sessionKey, turn: this.id, results: results.size });
    this.#reply = reply;
    this.#exchanges.at(-1)?.replies.push(reply);
    this.#parkedMs += now - this.#parkedAt;
    // It has waited, and was not silent.
    process.noteOutput();
    reply.isSent = true;
    reply.hasRunTools = this.#hasWorked;
    this.#reduce({ type: "resume", results });
    this.#listen();
  }

  /** Goes on after an answer to its question. @param fingerprints of the message that held it */
  continueWith(reply: ResponseStream, fingerprints: readonly string[]): void {
    this.#exchanges.push({ users: fingerprints, replies: [] });
    this.resume(reply, new Map());
  }

  /** Gives the answer after which the turn waits once more. The turn waits on. */
  repeat(reply: ResponseStream): void {
    if (this.#lastAnswer === null) {
      reply.close();
      return;
    }
    const { text, last, usage } = this.#lastAnswer;
    log.info("answer given once more", { session: this.#deps.sessionKey, turn: this.id });
    reply.isSent = true;
    if (text !== "") reply.push({ type: "text", text });
    reply.push(last);
    void closeWith(reply, usage);
  }

  /** Ends a turn that waits for the client. @param why what claude is told of calls that have no result */
  abandon(results: ToolResults, why: string): void {
    log.info("calls given up: {why}", { session: this.#deps.sessionKey, turn: this.id, why });
    this.#reduce({ type: "give_up", results, why });
  }

  /** Sends the message. False when there is no connection to send it through. */
  async start(): Promise<boolean> {
    const { response, sessionKey, claudeSession, traceId, turns, process, message } = this.#deps;
    const { text, attachments: _attachments, isContinuation: _isContinuation, ...delivery } = message;
    this.#startedAt = performance.now();
    // Before it is sent: what cannot be written down must not be done either.
    await turns.insertSent({
      id: this.id,
      session: sessionKey,
      claudeSession,
      traceId,
      sentAt: Date.now(),
      ...delivery,
    });
    if (!this.#send()) {
      turns.markEnded(this.id, {
        state: "failed",
        at: Date.now(),
        firstTextAt: null,
        errorCode: "message_not_received",
        exchanges: null,
      });
      return false;
    }
    this.#noteWork();
    log.info("message sent", { session: sessionKey, turn: this.id, pid: process.pid, characters: text.length });
    response.isSent = true;
    this.#armDeadline();
    this.#listen();
    return true;
  }

  /** Ends the turn when its client leaves. */
  #listen(): void {
    const { disconnected } = this.#reply;
    disconnected.addEventListener("abort", this.#leave);
    if (disconnected.aborted) this.#leave();
  }

  handle(event: ClaudeEvent): void {
    if (event.type === "hook") {
      const { hook } = event;
      this.#noteCall(hook);
      this.#noteProgress(hook);
      const mayContinue =
        hook.hook_event_name === "Stop" && this.ownsPrompt(hook.prompt_id) && this.#deps.process.mayContinueAfterStop;
      this.#reduce({ type: "hook", hook, at: performance.now(), mayContinue });
      if (this.ownsPrompt(hook.prompt_id)) this.#transcript = hook.transcript_path;
    } else if (event.type === "reply") {
      this.#reduce({ type: "reply", content: event.frame.content, final: event.frame.final });
    } else if (event.type === "call" || event.type === "call_cancelled") {
      this.#reduce(event);
    } else if (event.type === "status") {
      this.#checkIdle();
    } else if (event.type === "api") {
      this.#noteApi(event.sign);
    } else if (event.type === "connection") {
      // The socket may have dropped with the message in it. The plugin knows the ids it has passed on.
      if (event.open && this.#phase === "sent") this.#send();
    } else if (event.type === "exit") {
      void this.#takeExit(event.exit);
    }
  }

  /** Ends the turn when claude waits too long before it makes a failed model request again, as a `retry-after` has it. */
  #noteApi(sign: ApiActivity): void {
    clearTimeout(this.#retryWait);
    if (sign.what !== "failed") {
      this.#isRequestOpen = sign.what === "requested";
      if (!this.#isRequestOpen) this.#failedAt = null;
      return;
    }
    // Requests that claude makes beside the conversation's fail, too, and no turn waits for them.
    if (!this.#isRequestOpen || this.#phase !== "running" || this.#deps.process.hasOwnRetries) return;
    const now = performance.now();
    this.#failedAt ??= now;
    const failure = { ...failureFromHook("unknown", sign.message), status: sign.status };
    this.#retryWait = setTimeout(
      () => {
        const outcome = outcomeOf(failure, Date.now());
        if (this.#phase === "running" && outcome instanceof RequestError) this.interrupt(outcome);
      },
      Math.max(this.#failedAt + MODEL_RETRY_MS - now, 0),
    );
  }

  async #takeExit({ signal, code }: Exit): Promise<void> {
    // It may have taken the message and ended before it could say so: then it must not be told it again.
    if (this.#awaitsReceipt) await this.#findReceipt();
    const message = `Claude Code ended in the middle of this turn (${signal ?? `exit code ${code}`}). The next message resumes it.`;
    this.#reduce({ type: "fail", error: new RequestError("claude_exited", message) });
  }

  /**
   * claude's own word that it is done. In tool mode it counts at once, since hooks may be forbidden, and so it does when
   * `Stop` has come. Else `Stop` is on its way in live mode, or a hook of the user's has refused the message; only when
   * neither shows does this end the turn.
   */
  #checkIdle(): void {
    const isIdle = () =>
      (this.#phase === "running" || this.#phase === "answered" || this.#phase === "parked") && this.#hasGoneIdle;
    const { promptId, spoken, pendingStop } = this.#state;
    // claude has announced the message and done nothing with it.
    const mayBeRefused = this.#phase === "running" && promptId !== null && !spoken && !pendingStop;
    if (mayBeRefused && isIdle()) void this.#findRefusal(isIdle);
    else if (this.#deps.config.reply === "tool" || pendingStop) {
      if (isIdle()) this.#reduce({ type: "idle" });
    } else {
      clearTimeout(this.#lostStop);
      this.#lostStop = setTimeout(() => {
        if (isIdle()) this.#reduce({ type: "idle" });
      }, LOST_STOP_MS);
    }
  }

  #noteWork(): void {
    this.#worked = markWork(this.#deps.process.statusRevision);
  }

  get #hasGoneIdle(): boolean {
    const { status, statusRevision } = this.#deps.process;
    return hasGoneIdle(status, statusRevision, this.#worked);
  }

  /** Whether claude works on it under this prompt. */
  ownsPrompt(id: string | undefined): boolean {
    return id !== undefined && this.#state.promptId === id;
  }

  /** Nobody waits for its answer any more. */
  get isSilent(): boolean {
    return this.#state.silent;
  }

  /** Ends the client's answer with a question; the turn waits until it goes on for another, or is given up. */
  askClient(text: string): void {
    this.#reduce({ type: "question", text });
  }

  /** Resolves when a client is there to be spoken to, or the turn is over. */
  async whenUnparked(): Promise<void> {
    while (this.#phase === "parked") await this.#unparked.promise;
  }

  /** Tells the client something between claude's words. */
  note(text: string): void {
    this.#reduce({ type: "note", text });
  }

  /** Ends the turn before claude does. @param error what the client is told, null when it has left */
  interrupt(error: RequestError | null): void {
    if (this.#phase === "parked") this.abandon(new Map(), error?.message ?? "The chat's program has left.");
    this.#reduce({ type: "interrupt", error });
  }

  /** What it has delivered to Claude; null when Claude has not received it. */
  get delivered(): DeliveredTurn | null {
    if (!this.#state.taken) return null;
    const { traceId, message } = this.#deps;
    const { dropped, history, hadHistory, volatile } = message;
    const truncation = truncationOf(this.#error?.code ?? null, this.#firstTextAt !== null);
    const exchanges = this.#deliveredExchanges;
    const answered = this.#isAnswered;
    return { turn: this.id, traceId, dropped, history, exchanges, hadHistory, volatile, answered, truncation };
  }

  get #isAnswered(): boolean {
    return (this.#phase === "done" || this.#phase === "settling") && !this.#state.isGivenUp;
  }

  /** Its exchanges, with the answers as far as the client has them whole. */
  get #deliveredExchanges(): readonly Exchange[] {
    return this.#exchanges.map(({ users, replies }, at) => {
      // While it settles some of the text is still to come.
      const isEnded = at < this.#exchanges.length - 1 || (this.#isAnswered && this.#phase === "done");
      const isWhole =
        isEnded &&
        !this.#error &&
        !this.#deps.message.isContinuation &&
        !replies.some(({ isTruncated }) => isTruncated);
      return { users, answer: isWhole ? answerFingerprint(replies.map(({ text }) => text).join("\n")) : null };
    });
  }

  get #phase(): Phase {
    return this.#state.phase;
  }

  get #awaitsReceipt(): boolean {
    return !this.#state.taken && (this.#phase === "sent" || this.#phase === "interrupting");
  }

  #send(again = false): boolean {
    const { process, sessionKey, message } = this.#deps;
    return process.send(this.id, sessionKey, message.text, message.attachments, again);
  }

  #reduce(event: TurnEvent): void {
    const { phase: before, taken, pendingStop } = this.#state;
    const [state, outputs] = reduceTurn(this.#state, event);
    this.#state = state;
    if (state.taken && !taken) this.#noteWork();
    if (state.spoken) this.#firstTextAt ??= Date.now();
    for (const output of outputs) this.#put(output);
    this.#sign.resolve();
    if (isCollectingCalls(state) && !this.#isGathering) void this.#gather();
    if (awaitsJoin(state.answer) && !this.#isJoining) void this.#findJoin();
    if (state.pendingStop && state.pendingStop !== pendingStop) {
      this.#armDeadline();
      // It may be idle by now: then no change of its status is to come.
      this.#checkIdle();
    }
    if (state.phase === before) return;
    if (before === "parked") {
      this.#lastAnswer = null;
      this.#unparked.resolve();
      this.#unparked = Promise.withResolvers();
    }
    // Without a reason the signal makes an exception, which costs more than all of this.
    if (state.phase !== "running" && state.phase !== "parked" && state.phase !== "answered") this.#ending.abort("over");
    this.#armDeadline();
    if (state.phase === "answered") void this.#endAnswer(FINAL_REPLY);
    if (state.phase === "failed" || state.phase === "interrupted" || state.phase === "done") this.#end(state.phase);
  }

  #put(output: TurnOutput): void {
    const { process, turns, sessionKey } = this.#deps;
    const reply = this.#reply;
    switch (output.type) {
      case "received":
        turns.markReceived(this.id, sessionKey, Date.now(), output.promptId);
        this.#armDeadline();
        break;
      case "text":
      case "finish":
        reply.push(output);
        break;
      case "calls": {
        const calls = output.calls.map((call) => ({ ...call, id: callIdOf(call.id) }));
        log.info("calls put to the client", { session: sessionKey, turn: this.id, calls: calls.length });
        this.#noteToolUse();
        // A subagent's calls are in no message of Claude's own: the tool that runs the subagent is.
        const own = output.calls.find(({ id }) => !this.#ofSubagents.has(id))?.id;
        this.#park({ type: "calls", calls }, own ?? this.#newestToolUse);
        break;
      }
      case "parked":
        this.#park({ type: "finish" }, this.#newestToolUse);
        break;
      case "result":
        process.tools.answer(output.id, output.result.content, output.result.isError);
        break;
      case "usage":
        reply.push(output);
        break;
      case "error":
        log.warning("turn failed: {code}", { session: sessionKey, turn: this.id, code: output.error.code });
        this.#error = output.error;
        reply.report(output.error);
        // The turn that has failed ends now, with its token figures. An interruption may take seconds.
        if (this.#phase !== "failed") reply.close();
        break;
      case "interrupt":
        this.#noteWork();
        this.#armDeadline();
        void this.#awaitInterruption(this.#interruption.begin());
        break;
      case "free":
        this.#setFree();
        break;
      case "unsolicited":
        log.warning("reply ignored: nobody waits for it", { session: sessionKey, turn: this.id });
        break;
      case "diverged":
        log.warning("the text shown is not the text recorded", { session: sessionKey, turn: this.id });
        break;
      case "read_failure":
        void this.#readFailure(output.path);
        break;
      case "read_transcript":
        this.#reading = true;
        void this.#readTranscript(output.path);
    }
  }

  /** claude can have the next message, unless it has yet to read a key. */
  #setFree(): void {
    const unread = this.#interruption.unread(this.#phase === "settling" || this.#phase === "done");
    if (unread > 0) setTimeout(this.#free.resolve, unread);
    else this.#free.resolve();
  }

  /**
   * Ends the client's answer with `last`; the turn waits for its next request.
   * @param toolUse for which it waits, by claude's id; null when that is not known
   */
  #park(last: ResponsePart, toolUse: string | null): void {
    this.#parkedAt = performance.now();
    // Its answer is complete: that it leaves is to be expected.
    this.#reply.disconnected.removeEventListener("abort", this.#leave);
    this.#reply.push(last);
    const { text } = this.#reply;
    this.#lastAnswer = { text, last, usage: this.#endAnswer(toolUse ?? UNKNOWN_TOOL_USE) };
    this.#deps.onParked();
  }

  /**
   * The answer is complete, but its turn goes on.
   * @param toolUse with which it ends
   * @returns its tokens
   */
  #endAnswer(toolUse: string): Promise<Usage | null> {
    const usage = this.#answerUsage({ after: this.#answeredUpTo, end: toolUse });
    this.#answeredUpTo = toolUse;
    void closeWith(this.#reply, usage);
    return usage;
  }

  async #answerUsage(span: AnswerSpan): Promise<Usage | null> {
    const calls = await this.#readModelCalls(span.end, FIGURES_MS);
    return calls && answerUsage(calls, span);
  }

  /** The model calls that claude has recorded, as `readModelCalls` has them; what they cost is written down. */
  async #readModelCalls(end: string | null, ms: number): Promise<readonly ModelCall[] | null> {
    try {
      const path = await this.#deps.findTranscript(this.#transcript);
      const calls = path && (await readModelCalls(path, this.id, this.#deps.transcriptAt, end, ms));
      if (calls) this.#noteCost(calls);
      return calls || null;
    } catch (error) {
      this.#noteUnreadable(error);
      return null;
    }
  }

  #noteCost(calls: readonly ModelCall[]): void {
    const total = totalUsage(calls);
    if (total) this.#deps.turns.setUsage(this.id, total);
  }

  #noteProgress(hook: HookBody): void {
    if (this.#phase !== "running" || this.#state.silent || !this.ownsPrompt(hook.prompt_id)) return;
    if (hook.hook_event_name === "PreToolUse" && hook.tool_name !== REPLY) this.#noteToolUse();
    const line = this.#deps.progress(hook);
    if (line !== null) this.#reply.push({ type: "progress", text: line });
  }

  /** From now on the client's request must not be sent again without a person's will. */
  #noteToolUse(): void {
    this.#hasWorked = true;
    this.#reply.hasRunTools = true;
    this.#reply.open();
  }

  #noteCall(hook: HookBody): void {
    if (hook.hook_event_name !== "PreToolUse" || hook.tool_use_id === undefined) return;
    this.#transcript = hook.transcript_path;
    if (hook.agent_id !== undefined) this.#ofSubagents.add(hook.tool_use_id);
    else if (this.ownsPrompt(hook.prompt_id)) this.#newestToolUse = hook.tool_use_id;
  }

  /** Sends calls on when all have come that claude makes together. */
  async #gather(): Promise<void> {
    this.#isGathering = true;
    const first = this.#state.calls.find(({ isOut }) => !isOut)?.id ?? "";
    const together = await this.#callsWith(first);
    const next = () => {
      this.#sign = Promise.withResolvers<void>();
      return this.#sign.promise;
    };
    await collectCallBatch(() => this.#state, next, together);
    this.#isGathering = false;
    this.#reduce({ type: "gathered", isParallel: this.#deps.isParallel });
  }

  /** All calls in the message of claude's that has this one; null when that cannot be known. */
  async #callsWith(id: string): Promise<readonly string[] | null> {
    const { findTranscript, transcriptAt } = this.#deps;
    try {
      // What a subagent says is recorded elsewhere.
      const path = this.#ofSubagents.has(id) ? null : await findTranscript(this.#transcript);
      if (path === null) return null;
      return await readCalls(path, this.id, transcriptAt, id, AbortSignal.timeout(RECORD_MS));
    } catch (error) {
      // What comes together within a moment has to do.
      this.#noteUnreadable(error);
      return null;
    }
  }

  /** Learns from claude's record whether the text that waits continues the text before it. */
  async #findJoin(): Promise<void> {
    this.#isJoining = true;
    const { bare } = this.#state.answer;
    let found: { readonly isSeam: boolean } | null = null;
    try {
      const path = await this.#deps.findTranscript(this.#transcript);
      const signal = AbortSignal.timeout(RECORDED_MS);
      found = path === null ? null : await readSeam(path, this.id, this.#deps.transcriptAt, bare, signal);
    } catch (error) {
      // Then it is a paragraph of its own, as most are.
      this.#noteUnreadable(error);
    }
    this.#isJoining = false;
    this.#reduce({ type: "join", isSeam: found?.isSeam ?? false });
  }

  /** Learns from claude's record whether a hook of the user's has refused the message. Otherwise claude is just idle. */
  async #findRefusal(isIdle: () => boolean): Promise<void> {
    if (this.#isLookingForRefusal) return;
    this.#isLookingForRefusal = true;
    let refused: RefusedPrompt | null = null;
    try {
      const path = await this.#deps.findTranscript(this.#transcript);
      const signal = AbortSignal.timeout(LOST_STOP_MS);
      refused = path === null ? null : await readRefusedPrompt(path, this.id, this.#deps.transcriptAt, signal);
    } catch (error) {
      // The turn ends as one whose `Stop` is lost.
      this.#noteUnreadable(error);
    }
    this.#isLookingForRefusal = false;
    if (refused) {
      log.info("message refused by a hook of the user's", { session: this.#deps.sessionKey, turn: this.id });
      this.#reduce({ type: "refused", ...refused });
    } else if (isIdle()) this.#reduce({ type: "idle" });
  }

  async #readFailure(named: string): Promise<void> {
    let record: FailedTurn | null = null;
    try {
      const path = await this.#deps.findTranscript(named);
      const signal = AbortSignal.timeout(RECORDED_MS);
      record = path === null ? null : await readFailure(path, this.id, this.#deps.transcriptAt, signal);
    } catch (error) {
      // The hook's own words have to do.
      this.#noteUnreadable(error);
    }
    // Resumed with the next message, it asks nothing.
    if (record && isPlanLimit(record.failure)) void this.#deps.process.stop();
    this.#reduce({ type: "failure", record, now: Date.now() });
  }

  async #readTranscript(named: string | null): Promise<void> {
    let record: TurnRecord | null = null;
    try {
      const path = await this.#deps.findTranscript(named);
      record = path ? await readTurn(path, this.id, this.#deps.transcriptAt) : null;
    } catch (error) {
      // What was streamed has to do.
      this.#noteUnreadable(error);
    }
    if (record) this.#noteCost(record.calls);
    // What claude does after its final reply belongs to no answer.
    const isOpen = this.#answeredUpTo !== FINAL_REPLY;
    const usage = record && isOpen ? answerUsage(record.calls, { after: this.#answeredUpTo, end: null }) : null;
    this.#deps.process.stopHooks = record?.stopHooks ?? this.#deps.process.stopHooks;
    this.#reduce({ type: "transcript", texts: record?.texts ?? null, usage });
    this.#close();
  }

  #noteUnreadable(error: unknown): void {
    log.warning("transcript not readable: {error}", { session: this.#deps.sessionKey, turn: this.id, error });
  }

  /** The turn has its end; after `done` the token figures are still awaited. */
  #end(state: "done" | "failed" | "interrupted"): void {
    const { turns, sessionKey } = this.#deps;
    this.#reply.disconnected.removeEventListener("abort", this.#leave);
    turns.markEnded(this.id, {
      // A message that claude has not received, though its turn is done: a hook has refused it.
      state: this.#error || (state === "done" && !this.#state.taken) ? "failed" : state,
      at: Date.now(),
      firstTextAt: this.#firstTextAt,
      errorCode: this.#error?.code ?? null,
      exchanges: this.#deliveredExchanges,
    });
    log.info("turn {state}", {
      state,
      session: sessionKey,
      turn: this.id,
      ms: Math.round(performance.now() - this.#startedAt),
    });
    if (state !== "done" || !this.#reading) void this.#endUnread();
  }

  /** Ends a turn whose record is not read for its text: only its token figures are of use. */
  async #endUnread(): Promise<void> {
    const isGone = this.#deps.process.state === "gone";
    const calls = this.#state.taken ? await this.#readModelCalls(null, isGone ? 0 : FIGURES_MS) : null;
    const usage = calls && answerUsage(calls, { after: this.#answeredUpTo, end: null });
    if (usage && this.#phase === "failed") this.#reply.push({ type: "usage", usage });
    this.#close();
  }

  #close(): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.#lostStop);
    clearTimeout(this.#retryWait);
    this.#reply.close();
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
    } else if (this.#state.pendingStop && (this.#phase === "running" || this.#phase === "answered")) {
      after(LOOK_AT_STATUS_MS, () => {
        this.#checkIdle();
        this.#checkProgress();
      });
    } else if (this.#phase === "running" || this.#phase === "answered") {
      const { turnTimeoutMs, progressTimeoutMs } = this.#deps.config;
      const now = performance.now();
      const left = Math.min(
        this.#startedAt + this.#parkedMs + turnTimeoutMs - now,
        this.#deps.process.lastOutputAt + progressTimeoutMs - now,
      );
      after(Math.max(left, 0), () => this.#checkProgress());
    } else if (this.#phase === "parked") {
      const { parkedToolTimeoutMs, permissionTimeoutMs } = this.#deps.config;
      // A question has its own, shorter deadline with who asks it.
      after(this.awaitedCalls?.length === 0 ? permissionTimeoutMs + TAKE_UP_MS : parkedToolTimeoutMs, () =>
        this.abandon(new Map(), "The chat's program has not brought the result in time."),
      );
    } else if (this.#state.closing.length > 0) {
      after(TAKE_UP_MS, () => {
        this.#reduce({ type: "press" });
        this.#armDeadline();
      });
    } else if (this.#phase === "interrupting") {
      after(PRESS_AGAIN_MS, () => this.#checkInterrupted());
    }
  }

  /** Looks in claude's record whether it has taken the message. */
  async #findReceipt(): Promise<void> {
    const { findTranscript, transcriptAt } = this.#deps;
    try {
      const path = await findTranscript(null);
      const promptId = path && (await findPrompt(path, this.id, transcriptAt));
      if (!promptId || !this.#awaitsReceipt) return;
      const sent = this.#worked;
      this.#reduce({ type: "receipt", promptId });
      // When it was taken up is not known; if claude has gone idle since it was sent, it is done with it.
      if (this.#phase === "running") this.#worked = sent;
      this.#checkIdle();
    } catch (error) {
      this.#noteUnreadable(error);
    }
  }

  /** No receipt in time: is claude busy with something else, was the hook lost, or was the message? */
  async #checkReceipt(): Promise<void> {
    const { process } = this.#deps;
    await this.#findReceipt();
    if (!this.#awaitsReceipt) return;
    if (process.status?.status === "busy" && performance.now() - this.#startedAt < this.#deps.config.turnTimeoutMs) {
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
        error: new RequestError("message_not_received", "Claude Code did not take the message. Try again.", {
          retryAfter: 1,
        }),
      });
    }
  }

  #checkProgress(): void {
    const { turnTimeoutMs, progressTimeoutMs } = this.#deps.config;
    const now = performance.now();
    if (now - this.#startedAt - this.#parkedMs >= turnTimeoutMs) {
      this.interrupt(
        new RequestError(
          "turn_timeout",
          `Claude Code worked for ${turnTimeoutMs} ms without an end and was stopped. The next message goes on from ` +
            "there; SYNTHESIS_TURN_TIMEOUT_MS gives it more time.",
        ),
      );
    } else if (now - this.#deps.process.lastOutputAt >= progressTimeoutMs) {
      this.interrupt(
        new RequestError(
          "turn_timeout",
          `Claude Code showed no sign of life for ${progressTimeoutMs} ms and was stopped. Send the message again; ` +
            "SYNTHESIS_PROGRESS_TIMEOUT_MS gives it more time.",
        ),
      );
    } else this.#armDeadline();
  }

  /**
   * claude's record of the interruption is the last it writes of a turn. Its status is idle before that,
   * and a message that comes in between is recorded in front of the interrupted tool's result.
   */
  async #awaitInterruption(signal: AbortSignal): Promise<void> {
    try {
      const path = await this.#deps.findTranscript(null);
      const found = path && (await readInterruption(path, this.id, this.#deps.transcriptAt, signal));
      if (found) this.#reduce({ type: "idle" });
    } catch (error) {
      // The deadline of the interruption looks at claude's status instead.
      this.#noteUnreadable(error);
    }
  }

  #checkInterrupted(): void {
    // Idle for long and no record of it: there was nothing yet to record.
    if (this.#hasGoneIdle) this.#reduce({ type: "idle" });
    else if (this.#interruption.insist()) this.#armDeadline();
  }
}

/** Closes an answer that is complete, with its token figures when they are known. */
async function closeWith(reply: ResponseStream, usage: Promise<Usage | null>): Promise<void> {
  const known = await usage;
  if (known) reply.push({ type: "usage", usage: known });
  reply.close();
}
