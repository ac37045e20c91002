/**
 * One conversation: its queue of requests, the claude that works on it, and the turn that runs. One
 * turn at a time, since claude would merge messages that reach it together; and never two processes,
 * since both would write into one transcript.
 */
import { getLogger } from "@logtape/logtape";
import type { ClaudeEvent, PermissionHook } from "../claude/interactive/events.ts";
import { launchHash } from "../claude/interactive/launch-hash.ts";
import type { ClaudeProcess, ProcessOwner } from "../claude/interactive/process.ts";
import type { Pool } from "../claude/pool/pool.ts";
import { readTurn } from "../claude/transcript/reader.ts";
import { answerUsage } from "../claude/turn-usage.ts";
import { RequestError } from "../core/errors.ts";
import { unquoteWords } from "../core/quoting.ts";
import { messageFingerprint, plainText } from "../intake/fingerprint.ts";
import { type Identity, isEphemeral } from "../intake/identity.ts";
import type { ParsedRequest } from "../intake/parsed-request.ts";
import { isRetry, type RequestFingerprint, requestFingerprint } from "../intake/request-retry.ts";
import { looksLikeSideRequest, type RequestShape } from "../intake/request-shape.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import { type ChatPrompt, readVerdict } from "../permissions/chat-answers.ts";
import { PermissionPrompts, USER_SPOKE } from "../permissions/prompts.ts";
import type { SessionRow } from "../store/schema.ts";
import { type ProgressFormatter, progressFormatter } from "../turn/progress.ts";
import { NO_ANSWER, type ToolResults } from "../turn/reducer.ts";
import type { ProcessOrigin, ResponseStream } from "../turn/response-stream.ts";
import { TurnRunner } from "../turn/runner.ts";
import type { Verdict } from "../wire/hooks.ts";
import { attachmentMeta } from "./attachments.ts";
import { withDeliveredAsHistory } from "./delivered-input.ts";
import { findAnsweredTurn, planDelivery } from "./delivery-plan.ts";
import { ExternalPrompts } from "./external-prompts.ts";
import { messageText } from "./message-text.ts";
import { ConversationRecord, type RecordDeps } from "./record.ts";
import { isAnswerTo, type SaveFile, splitToolResults, toolResults } from "./tool-results.ts";

const log = getLogger(["synthesis", "conversation"]);

const OVER = new RequestError("shutting_down", "This answer is over.");
const FORGOTTEN =
  "[synthesis: Claude Code's record of this conversation is gone; it has forgotten what was said before.]\n\n";

const NO_CLIENT = "The chat's program is not waiting for anything now.";

/** A turn request that waits for its turn or is served, and the stream of its answer. */
export interface QueuedTurn {
  readonly request: TurnRequest;
  readonly response: ResponseStream;
}

export interface ConversationDeps extends RecordDeps {
  readonly pool: Pool;
  readonly permissions: PermissionBroker;
}

export interface ConversationListener {
  /**
   * A request has been served.
   * @param ms how long claude worked on it, null when it was never sent
   * @param error what the client was told, null when all went well
   */
  onTurn(ms: number | null, error: RequestError | null): void;
  /** Nothing waits, nothing runs, and there is no process. */
  onRest(): void;
}

export class Conversation {
  readonly identity: Identity;
  readonly #deps: ConversationDeps;
  readonly #watcher: ConversationListener;
  readonly #record: ConversationRecord;
  readonly #progress: ProgressFormatter;
  readonly #queue: QueuedTurn[] = [];
  /** Changes that wait for the process to be gone; they come before any request. */
  readonly #changes: (() => Promise<void>)[] = [];
  /** Turns of which something may still come; the last one runs. */
  readonly #runs = new Set<TurnRunner>();
  /** Changes that are being made. */
  readonly #ending = new Set<Promise<void>>();
  readonly #foreign = new ExternalPrompts(() => {
    // Others may be waiting for its place.
    if (!this.isBusy) this.#deps.pool.noteIdle();
  });
  readonly #questions: PermissionPrompts;
  readonly #owner: ProcessOwner = {
    isBusy: () => this.isBusy,
    onEvent: (process, event) => this.#takeEvent(process, event),
    onPermission: (hook, signal) => this.#askPermission(hook, signal),
    onOversized: (process) => this.#restart(process),
  };
  #working = false;
  #sentAt = 0;
  #serving: QueuedTurn | null = null;
  #run: TurnRunner | null = null;
  /** Of the request that the turn that runs has answered last, or is answering. */
  #lastRequest: RequestFingerprint | null = null;
  /** Results are on their way to the turn that runs. */
  #joining = false;
  /** What the client last wanted known with a message. */
  #carried = "";
  /** Of the newest request, to tell side requests from turns. */
  #shape: RequestShape | null = null;
  /** Why nothing more is taken; null while it is. */
  #refused: RequestError | null = null;
  #process: ClaudeProcess | null = null;
  constructor(identity: Identity, deps: ConversationDeps, watcher: ConversationListener) {
    this.identity = identity;
    this.#deps = deps;
    this.#watcher = watcher;
    this.#record = new ConversationRecord(identity, deps);
    this.#questions = new PermissionPrompts(deps);
    this.#progress = progressFormatter(deps.config, deps.env);
  }

  /** How many requests wait: behind a turn, or for a process. */
  get waiting(): number {
    return this.#queue.length + (this.#serving && !this.#process ? 1 : 0);
  }

  /** A turn is starting or runs, or claude works on something of its own. */
  get isBusy(): boolean {
    return this.#serving !== null || this.#foreign.isAny;
  }

  /** The model of its newest request; undefined when none waits or is served. */
  get newestModel(): string | null | undefined {
    return (this.#queue.at(-1) ?? this.#serving)?.request.model;
  }

  /** Fingerprints of the user's messages of the requests that wait or are served. */
  get pendingFingerprints(): readonly (readonly string[])[] {
    return [...this.#queue, ...(this.#serving ? [this.#serving] : [])].map(
      ({ request }) => request.input.newFingerprints,
    );
  }

  get hasProcess(): boolean {
    return this.#process !== null;
  }

  /** Whether a request has to do with what the turn that runs waits for: then it goes past the queue. */
  awaits(request: TurnRequest): boolean {
    if (this.#hasLostAnswer(request)) return true;
    const { input, sender } = request;
    const { asked } = this.#questions;
    if (asked) return readVerdict(input, sender, asked) !== null;
    return this.#awaited ? isAnswerTo(input, this.#awaited) : false;
  }

  /** Its claude, whatever state that is in; null when none runs. */
  get process(): ClaudeProcess | null {
    return this.#process;
  }

  /** For people: `cold` has no claude that could take a message. */
  get state(): "idle" | "busy" | "starting" | "cold" {
    if (this.#run || this.#foreign.isAny) return "busy";
    if (this.#serving) return "starting";
    return this.#process?.state === "ready" ? "idle" : "cold";
  }

  /**
   * Whether a request that names this conversation is about it rather than a part of it, as a request for its title
   * is. Not known of a conversation that has had no request since its claude was last ended.
   */
  isSideRequest(request: ParsedRequest): boolean {
    const isBusy = this.#serving !== null || this.#queue.length > 0;
    return this.#shape !== null && looksLikeSideRequest(this.#shape, request, isBusy);
  }

  submit(turn: QueuedTurn): void {
    const { request, response } = turn;
    this.#shape = request.shape;
    const { asked } = this.#questions;
    if (this.#run && this.#hasLostAnswer(request)) this.#repeat(this.#run, response);
    else if (this.#run && asked) this.#askAsked(this.#run, asked, turn);
    else if (this.#run && this.#awaited) this.#askParked(this.#run, this.#awaited, turn);
    else this.#enqueue(turn);
  }

  /** The calls whose results the turn that runs waits for; null when it does not, or they are being brought. */
  get #awaited(): readonly string[] | null {
    return this.#joining ? null : (this.#run?.awaitedCalls ?? null);
  }

  /** Whether a request is the one after whose answer the turn waits, sent again: the client has not got that answer. */
  #hasLostAnswer(request: TurnRequest): boolean {
    return this.#awaited !== null && this.#lastRequest !== null && isRetry(request, this.#lastRequest);
  }

  #repeat(run: TurnRunner, response: ResponseStream): void {
    response.processOrigin = "warm";
    run.repeat(response);
  }

  /** The turn waits for its client. A retry that has come before the answer was complete gets the same one. */
  #answerRetries(run: TurnRunner): void {
    for (const turn of this.#queue.filter(({ request }) => this.#hasLostAnswer(request))) {
      this.#withdraw(turn);
      this.#repeat(run, turn.response);
    }
  }

  /**
   * A request while the turn waits for results. With nothing but results it goes on. Any other ends it: claude
   * gets what results there are, is told to stop, and then hears what is new.
   */
  #askParked(run: TurnRunner, awaited: readonly string[], turn: QueuedTurn): void {
    const { request, response } = turn;
    const { input } = request;
    const brought = splitToolResults(input.messages, awaited);
    const save: SaveFile = (content, extension) =>
      this.#deps.attachments.saveFile(run.claudeSession, content, extension);
    if (isAnswerTo(input, awaited)) {
      const context = input.context.join("\n\n");
      const results = toolResults(brought, context === this.#carried ? "" : context, save);
      this.#carried = context;
      response.processOrigin = "warm";
      void this.#join(run, turn, results);
    } else {
      run.abandon(toolResults(brought, "", save), USER_SPOKE);
      this.#enqueue({ request: { ...request, input: { ...input, messages: brought.rest } }, response });
    }
  }

  /** A request while a question of claude's waits. What is no answer to it is a no, and the next turn. */
  #askAsked(run: TurnRunner, asked: ChatPrompt, turn: QueuedTurn): void {
    const { request, response } = turn;
    const { input, sender } = request;
    this.#questions.close();
    const { id } = asked.pending;
    const behavior = readVerdict(input, sender, asked);
    if (behavior) {
      response.processOrigin = "warm";
      this.#lastRequest = requestFingerprint(request);
      run.continueWith(response, input.newFingerprints);
      this.#deps.permissions.answer(id, { behavior, way: "chat", by: sender });
    } else {
      this.#deps.permissions.answer(id, { behavior: "deny", way: "spoke", by: sender });
      run.abandon(new Map(), USER_SPOKE);
      this.#enqueue(turn);
    }
  }

  /** Goes on with a turn when claude has the tools that the client offers by now. */
  async #join(run: TurnRunner, turn: QueuedTurn, results: ToolResults): Promise<void> {
    const { request, response } = turn;
    this.#joining = true;
    await this.#process?.tools.offer(request.offer.catalogue);
    this.#joining = false;
    if (run.awaitedCalls) {
      this.#lastRequest = requestFingerprint(request);
      run.resume(response, results);
    } else if (this.#refused) response.fail(this.#refused);
    // It has ended meanwhile: its results are told to claude like those of any call that is over.
    else this.#enqueue(turn);
  }

  #enqueue(turn: QueuedTurn): void {
    this.#queue.push(turn);
    turn.response.disconnected.addEventListener("abort", () => this.#withdraw(turn));
    void this.#work();
  }

  /** From now on nothing is taken: fails what waits, and ends a turn that waits for its client. */
  refuse(error: RequestError): void {
    this.#refused = error;
    if (this.#run?.awaitedCalls) this.#run.interrupt(error);
    this.refuseWaiting(error);
  }

  /** Fails what waits and, unless it has been sent, what is starting. */
  refuseWaiting(error: RequestError): void {
    for (const { response } of this.#queue.splice(0)) response.fail(error);
    if (this.#serving && !this.#run) {
      this.interrupt(error);
      void this.#process?.stop();
    }
  }

  /** Ends what runs or is starting, and tells its client. False when there is nothing to end. */
  interrupt(error: RequestError): boolean {
    if (this.#run) this.#run.interrupt(error);
    else if (this.#serving) {
      this.#serving.response.fail(error);
      this.#serving.response.disconnect();
    } else if (this.#foreign.isAny && this.#process?.status?.status === "busy") this.#process.pressEscape();
    else return false;
    return true;
  }

  /**
   * Ends the process, and all that waits and runs, with `error`. Then `change` is made, and what has come in
   * the meantime is served.
   */
  end(error: RequestError, change: (record: ConversationRecord) => Promise<void>): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#changes.push(async () => {
      try {
        await this.#process?.stop();
        // They still write down their figures.
        await Promise.all([...this.#runs].map(({ finished }) => finished));
        resolve(await change(this.#record));
      } catch (cause) {
        reject(cause);
      }
    });
    this.refuseWaiting(error);
    this.interrupt(error);
    void this.#process?.stop();
    void this.#work();
    this.#ending.add(promise);
    const done = () => void this.#ending.delete(promise);
    promise.then(done, done);
    return promise;
  }

  /** Resolves when no turn runs and no change is being made. */
  async idle(): Promise<void> {
    while (this.#run) await Promise.all([this.#run.finished, this.#run.idle]);
    await Promise.allSettled(this.#ending);
  }

  /** Of a conversation of one turn, its tools' rounds included, nothing is kept. */
  #forget(): void {
    this.end(OVER, (record) => record.remove(true)).catch((error) =>
      log.error("a conversation of one turn could not be forgotten: {error}", { session: this.identity.key, error }),
    );
  }

  #withdraw(turn: QueuedTurn): void {
    const at = this.#queue.indexOf(turn);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (;;) {
      for (let change = this.#changes.shift(); change; change = this.#changes.shift()) await change();
      const turn = this.#queue.shift();
      if (!turn) break;
      const { response } = turn;
      this.#serving = turn;
      let error: unknown = null;
      try {
        error = await this.#serve(turn);
      } catch (cause) {
        error = cause;
        // A client that has left while it waited for a place is no fault.
        if (!(cause instanceof RequestError) && !response.disconnected.aborted) {
          log.error("unexpected: {error}", { session: this.identity.key, error });
        }
        response.fail(cause);
      }
      this.#serving = null;
      const told = error instanceof RequestError ? error : response.error;
      const ms = this.#sentAt === 0 ? null : performance.now() - this.#sentAt;
      if (told || ms !== null) this.#watcher.onTurn(ms, told);
      this.#sentAt = 0;
      if (isEphemeral(this.identity.source) && this.#queue.length === 0) this.#forget();
      // Between two turns the process is idle, and others may be waiting for one.
      this.#deps.pool.noteIdle();
    }
    this.#working = false;
    this.#rest();
  }

  #rest(): void {
    if (!this.#working && !this.#process) this.#watcher.onRest();
  }

  /**
   * One request from its place in the queue to a claude that is free again.
   * @returns what was told instead of an end to whoever waited for it last; null when all went well
   */
  async #serve(turn: QueuedTurn): Promise<RequestError | null> {
    const { request, response } = turn;
    const session = await this.#record.take(request);
    const answered = findAnsweredTurn(this.#record.delivered, request);
    if (answered !== null && (await this.#replay(answered, response))) return null;
    const [process, temperature, claudeSession] = await this.#readyProcess(turn, session);
    response.processOrigin = temperature;
    if (response.disconnected.aborted) return null;

    const { offer } = request;
    const input = withDeliveredAsHistory(this.#record.exchanges, request.input);
    await process.tools.offer(offer.catalogue);
    const transcriptAt = await this.#record.transcriptSize();
    // The socket may have dropped meanwhile; it comes back, and nothing has been sent.
    await process.isConnected();
    const isFresh = temperature === "cold" || temperature === "spare";
    const plan = await this.#record.withSentTexts((sentText) =>
      planDelivery(
        this.#record.delivered,
        { ...request, input },
        {
          isFresh,
          delivered: this.#record.exchanges,
          isTruncated: this.#record.isTruncated,
          sentText: (turn) => {
            const text = sentText(turn);
            return text === null ? null : plainText(unquoteWords(text));
          },
        },
      ),
    );
    this.#record.rewrite(plan.rewritten);
    const text = messageText(plan, input.implied, offer.note);
    this.#carried = input.context.join("\n\n");
    const images = plan.messages.flatMap((message) => message.images);
    const files = plan.messages.flatMap((message) => message.files);
    const save: SaveFile = (content, extension) => this.#deps.attachments.saveFile(claudeSession, content, extension);
    const run = new TurnRunner({
      config: this.#deps.config,
      turns: this.#deps.turns,
      process,
      response: response,
      sessionKey: session.key,
      claudeSession,
      traceId: request.traceId,
      message: {
        text,
        attachments: attachmentMeta(images, files, save),
        // In the client's history an empty message stands as such.
        fingerprints: input.implied?.kind === "empty" ? [messageFingerprint("")] : plan.users,
        isContinuation: input.implied?.kind === "continue",
        hadHistory: input.hasHistory,
        dropped: plan.dropped,
        history: plan.history,
        volatile: plan.volatile?.fingerprint ?? null,
      },
      isParallel: offer.isParallel,
      onParked: () => {
        if (this.#refused) run.interrupt(this.#refused);
        else this.#answerRetries(run);
      },
      transcriptAt,
      progress: this.#progress,
      findTranscript: (named) => this.#record.transcript(named),
    });
    // In the meantime the client may have left, or the server may be ending.
    if (response.disconnected.aborted) return null;
    if (!(await run.start())) {
      await process.stop();
      throw new RequestError("message_not_received", "The connection to Claude Code was lost. Try again.", {
        retryAfter: 1,
      });
    }
    this.#run = run;
    this.#lastRequest = requestFingerprint(request);
    this.#sentAt = performance.now();
    this.#runs.add(run);
    void run.finished.then(() => this.#runs.delete(run));
    await run.idle;
    this.#run = null;
    this.#lastRequest = null;
    if (run.delivered) {
      await this.#record.add(run.delivered, text, this.#process === null);
      // Claude is free before the last of the text has come by every way.
      void run.finished.then(() => run.delivered && this.#record.complete(run.delivered));
    }
    return run.error;
  }

  /** Gives an answer once more, from claude's record. False when it cannot be read there. */
  async #replay(turn: string, response: ResponseStream): Promise<boolean> {
    const transcript = await this.#record.transcript();
    const found =
      transcript &&
      (await readTurn(transcript, turn, 0).catch((error) => {
        // Then Claude answers once more.
        log.warning("transcript not readable: {error}", { session: this.identity.key, error });
        return null;
      }));
    if (!found) return false;
    log.info("answer given once more", { session: this.identity.key, turn });
    this.#record.deliver(turn);
    response.processOrigin = "warm";
    response.push({ type: "text", text: found.texts.join("\n\n") || NO_ANSWER });
    response.push({ type: "finish" });
    const usage = answerUsage(found.calls, { after: null, end: null });
    if (usage) response.push({ type: "usage", usage });
    response.close();
    return true;
  }

  /** The conversation's claude, free for a turn; started or resumed if need be. With it its claude session. */
  async #readyProcess(
    turn: QueuedTurn,
    session: SessionRow,
    forgotten = false,
  ): Promise<[ClaudeProcess, ProcessOrigin, string]> {
    const { request, response } = turn;
    const current = this.#process;
    if (
      current?.state === "ready" &&
      current.spec.claudeSession === session.claudeSession &&
      launchHash(current.spec.choice, this.#deps.config) === session.launchHash &&
      !current.isShared &&
      (await current.isConnected()) &&
      (await this.#foreignEnd(response.disconnected))
    ) {
      // It may have ended during the waits.
      if (current.state === "ready" && current.connected) return [current, "warm", session.claudeSession];
    }
    if (response.disconnected.aborted && current) return [current, "warm", session.claudeSession];
    await current?.stop();
    const resume = (await this.#record.transcript()) !== null;
    const gone = !resume && this.#record.delivered.length > 0;
    // What was never answered nobody takes for known.
    const hasAnswered = this.#record.delivered.some(({ answered }) => answered);
    const { claudeSession } = gone ? this.#record.renew() : session;
    const spec = {
      sessionKey: session.key,
      claudeSession,
      resume,
      trusted: request.workspace.trusted,
      choice: ConversationRecord.choice(session),
      tools: request.offer.catalogue,
      rules: this.#rules,
    };
    const spare = resume || spec.rules.length > 0 ? null : this.#deps.pool.adopt(spec, this.#owner);
    if (spare) this.#record.adopt(spare.spec.claudeSession);
    const process = spare ?? (await this.#deps.pool.start(spec, this.#owner, response.disconnected));
    this.#process = process;
    try {
      await process.ready;
    } catch (error) {
      // claude has a file of this session but cannot go on with it. It will not take the id for a new one either.
      if (!resume || !(error instanceof RequestError) || !/No conversation found/.test(error.message)) throw error;
      await process.stop();
      return this.#readyProcess(turn, this.#record.renew(), hasAnswered);
    }
    if (forgotten || (gone && hasAnswered)) {
      log.warning("claude's transcript is gone, the session starts anew", { session: session.key });
      // What the client remembers, it brings itself.
      if (!request.input.hasHistory) response.preface(FORGOTTEN);
    }
    // An answer that belongs to no conversation may have to be JSON, and reaches no person.
    const notes = isEphemeral(this.identity.source) ? [] : process.takeNotes();
    for (const note of notes) response.preface(`[synthesis: ${note}]\n\n`);
    return [process, resume ? "resumed" : spare ? "spare" : "cold", process.spec.claudeSession];
  }

  /** What claude may do beside what the configuration allows. */
  get #rules(): readonly string[] {
    return this.#deps.permissions.grantedRules(this.identity.key, this.#record.begunAt);
  }

  /** Ends an idle claude and resumes it, while nobody waits for it. */
  #restart(process: ClaudeProcess): void {
    this.#changes.push(async () => {
      if (this.#process !== process || process.state !== "ready") return;
      await process.stop();
      const { pool, config } = this.#deps;
      if (!pool.hasRoom || (await this.#record.transcript()) === null) return;
      try {
        const next = await pool.start(
          { ...process.successor, rules: this.#rules },
          this.#owner,
          AbortSignal.timeout(config.readyTimeoutMs),
        );
        this.#process = next;
        await next.ready;
      } catch (error) {
        // The next message tries again, and its sender is told.
        log.warning("claude not restarted: {error}", { session: this.identity.key, error });
      }
    });
    void this.#work();
  }

  /** Waits until claude is done with prompts that are not ours. False when that takes longer than a turn may. */
  async #foreignEnd(left: AbortSignal): Promise<boolean> {
    if (!this.#foreign.isAny) return true;
    return this.#foreign.end(AbortSignal.any([left, AbortSignal.timeout(this.#deps.config.turnTimeoutMs)]));
  }

  #takeEvent(process: ClaudeProcess, event: ClaudeEvent): void {
    if (event.type === "hook") {
      this.#foreign.note(event.hook, (message) => [...this.#runs].some(({ id }) => id === message));
    } else if (event.type === "status") {
      // A person at claude's terminal may interrupt a prompt, and no hook says so.
      if (this.#foreign.isAny && process.status?.status === "idle") this.#foreign.endAll();
    } else if (event.type === "exit") {
      this.#foreign.endAll();
      if (this.#process === process) this.#process = null;
    }
    if (event.type === "call") this.#takeCall(process, event);
    else for (const run of this.#runs) run.handle(event);
    if (event.type === "exit") this.#rest();
  }

  /** Only a turn that runs can have called; a wake-up has no client. */
  #takeCall(process: ClaudeProcess, event: ClaudeEvent & { type: "call" }): void {
    if (this.#run) this.#run.handle(event);
    else process.tools.answer(event.call.id, [{ type: "text", text: NO_CLIENT }], true);
  }

  #askPermission(hook: PermissionHook, signal: AbortSignal): Promise<Verdict> {
    const run = [...this.#runs].find((one) => one.ownsPrompt(hook.prompt_id));
    const question = {
      session: this.identity.key,
      turn: run?.id ?? null,
      tool: hook.tool_name,
      input: hook.tool_input,
      sender: this.#serving?.request.sender ?? null,
    };
    return this.#questions.put(question, run, () => this.#serving?.request.isDirect === true, signal);
  }
}
