/**
 * The turns of one conversation: starts them, hands them what their process does, and keeps each one until all its
 * events have arrived.
 */
import { getLogger } from "@logtape/logtape";
import type { AgentProcess, ClaudeEvent, PermissionHook } from "../claude/agent-process.ts";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../core/clock.ts";
import { contentText, type MessageContent } from "../core/dialogue.ts";
import { RequestError } from "../core/errors.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { SchemaChecker } from "../json-schema/checker.ts";
import type { Rejections } from "../limits/rejections.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import { PermissionPrompts } from "../permissions/prompts.ts";
import type { TurnStore } from "../store/turns.ts";
import type { TurnMessage } from "../turn/delivered-turn.ts";
import { checkAnswer, invalidAnswer, repairNote } from "../turn/json-answer.ts";
import { type ProgressFormatter, progressFormatter } from "../turn/progress.ts";
import { TurnRunner } from "../turn/runner.ts";
import type { Verdict } from "../wire/hooks.ts";
import type { AttachmentStore } from "./attachment-store.ts";
import { noteText } from "./message-text.ts";
import type { LeasedProcess } from "./process-lease.ts";
import type { ConversationRecord } from "./record.ts";
import { RunningTurn } from "./running-turn.ts";
import type { SaveFile } from "./tool-results.ts";
import { prepareMessage } from "./turn-message.ts";
import type { QueuedTurn } from "./turn-queue.ts";

const log = getLogger(["synthesis", "conversation"]);

/** What Claude reads as the result of a call of a client's tool when no turn runs. */
const NO_CLIENT = "No client is connected to this chat now.";

interface TurnsDeps {
  readonly config: Config;
  readonly turns: TurnStore;
  readonly attachments: AttachmentStore;
  readonly permissions: PermissionBroker;
  /** Checks answers that must fit a JSON Schema. */
  readonly checker: SchemaChecker;
  readonly rejections: Rejections;
  readonly env: Record<string, string | undefined>;
  readonly clock: Clock;
  readonly sessionKey: string;
  readonly record: ConversationRecord;
  /** The turn is parked: it waits for its client. */
  readonly onParked: (turn: RunningTurn) => void;
  /** Takes a request that was about to join a turn when the turn ended. */
  readonly onLate: (turn: QueuedTurn) => void;
}

/** The process has lost its connection before the message was sent. */
export class NotSent extends RequestError {
  /** @param isStored the store has the turn already, as one that failed */
  constructor(readonly isStored: boolean) {
    super(
      "message_not_received",
      "The connection to Claude Code was lost before the message was sent. Send the message again.",
      { retryAfter: 1 },
    );
  }
}

export class ConversationTurns {
  readonly #deps: TurnsDeps;
  readonly #prompts: PermissionPrompts;
  readonly #progress: ProgressFormatter;
  /** The turns whose events have not all arrived. The newest of them may still run. */
  readonly #unfinished = new Set<TurnRunner>();
  #running: RunningTurn | null = null;
  /** The id of the turn that began last; null before the first one. */
  #newest: string | null = null;
  /** The cost, in US dollars, that was reported before the first turn. */
  #costBefore = 0;

  constructor(deps: TurnsDeps) {
    this.#deps = deps;
    this.#prompts = new PermissionPrompts(deps);
    this.#progress = progressFormatter(deps.config, deps.env);
  }

  /** The turn that runs: Claude was sent its message, and is not free for the next one. */
  get running(): RunningTurn | null {
    return this.#running;
  }

  /**
   * Sends Claude the message of a request, and waits until Claude is free for the next one. An answer that must be JSON
   * and is not valid is repeated in a second turn.
   * @param onSent called when the message was sent
   * @throws NotSent
   * @returns the turn, the second one of two; null when the client has disconnected before it began
   */
  async run(turn: QueuedTurn, leased: LeasedProcess, onSent: () => void): Promise<TurnRunner | null> {
    const { request } = turn;
    const { process, origin, claudeSession } = leased;
    const { record } = this.#deps;
    await process.tools.offer(request.offer.catalogue);
    const isFresh = origin === "cold" || origin === "spare";
    const message = await prepareMessage(request, { record, isFresh, saveFile: this.#saveFile(claudeSession) });
    const running = await this.#runTurn(turn, leased, message, onSent);
    if (running === null) return null;
    const repair = await this.#findRepair(running, message);
    await this.#addDelivered(running, leased, message);
    if (repair === null) return running.runner;
    return this.#repair(repair, { request: running.request, response: running.runner.response }, leased);
  }

  /** Sends a message, and waits until Claude is free for the next one. @returns null when the client has disconnected */
  async #runTurn(
    { request, response }: QueuedTurn,
    { process, claudeSession }: LeasedProcess,
    message: TurnMessage,
    onSent: () => void,
    id = response.id,
  ): Promise<RunningTurn | null> {
    const { config, turns, permissions, clock, record, rejections, sessionKey, onParked, onLate } = this.#deps;
    const transcriptAt = await record.transcriptSize();
    // The plugin's connection may have dropped. Nothing is stored of the turn yet.
    if (!(await process.isConnected())) throw new NotSent(false);
    const runner = new TurnRunner({
      config,
      turns,
      clock,
      process,
      response,
      id,
      sessionKey,
      claudeSession,
      traceId: request.traceId,
      message,
      transcriptAt,
      isParallel: request.offer.isParallel,
      progress: this.#progress,
      onParked: () => this.#running && onParked(this.#running),
      findTranscript: (named) => record.transcript(named),
    });
    // The client may have disconnected meanwhile, or the server may be shutting down.
    if (response.disconnected.aborted) return null;
    if (!(await runner.start())) {
      await process.stop();
      throw new NotSent(true);
    }
    const running = new RunningTurn({
      runner,
      tools: process.tools,
      request,
      prompts: this.#prompts,
      permissions,
      // The Claude of a request that names no conversation has none of its own tools.
      saveFile: request.dialogue ? null : this.#saveFile(claudeSession),
      onLate,
    });
    this.#running = running;
    onSent();
    this.#newest = id;
    if (this.#costBefore > 0) this.addCost(this.#costBefore);
    this.#costBefore = 0;
    this.#unfinished.add(runner);
    void runner.finished.then(() => this.#unfinished.delete(runner));
    await runner.idle;
    this.#running = null;
    // Before the client has the error, and sends its next message.
    if (runner.error) rejections.note(runner.error, process.spec.choice.model);
    return running;
  }

  async #addDelivered({ runner }: RunningTurn, { process }: LeasedProcess, message: TurnMessage): Promise<void> {
    const { record } = this.#deps;
    // A chat that names no conversation is recognised by its history, and has no transcript.
    if (!runner.delivered || record.isEphemeral) return;
    await record.addDelivered(runner.delivered, contentText(message.content), process.state === "exited");
    // Claude is free before the end of its text has arrived.
    void runner.finished.then(() => runner.delivered && record.delivered.complete(runner.delivered));
  }

  /**
   * Checks the answer of a turn if it must be JSON, and sends it to the client if it is valid.
   * @returns the message that asks Claude for another answer; null when none is needed
   */
  async #findRepair({ runner, request }: RunningTurn, message: TurnMessage): Promise<TurnMessage | null> {
    const { format } = request;
    const checked = await this.#checkAnswer(runner, request);
    if (checked === null || format.type === "text") return null;
    // A message that Claude does not have, for example since a hook has refused it, has no answer to repeat.
    const users = runner.delivered?.exchanges.at(-1)?.users;
    if (users === undefined) {
      runner.fail(invalidAnswer(format));
      return null;
    }
    runner.reject();
    const note = repairNote(checked, format);
    const content: MessageContent = request.dialogue ? [{ type: "text", text: note }] : noteText(note);
    return { ...message, content, fingerprints: users, attachments: {}, dropped: 0, history: [], volatile: null };
  }

  /** Runs the turn in which Claude gives its answer again. An answer that is not valid either ends with an error. */
  async #repair(message: TurnMessage, turn: QueuedTurn, leased: LeasedProcess): Promise<TurnRunner | null> {
    log.info("the answer is not valid, claude is asked for another one", { session: this.#deps.sessionKey });
    try {
      const running = await this.#runTurn(turn, leased, message, () => {}, crypto.randomUUID());
      if (running === null) return null;
      const { runner, request } = running;
      const problem = await this.#checkAnswer(runner, request);
      if (problem !== null && request.format.type === "json") runner.fail(invalidAnswer(request.format));
      await this.#addDelivered(running, leased, message);
      return runner;
    } catch (error) {
      // The answer may be for a later request than the one that is being served.
      turn.response.fail(error);
      throw error;
    }
  }

  /**
   * Checks an answer that is held back, and sends it to the client if it is valid.
   * @returns what is wrong with it, for Claude; null when it was sent, or was not held back
   */
  async #checkAnswer(runner: TurnRunner, { format, prefill }: TurnRequest): Promise<string | null> {
    const { response } = runner;
    if (format.type === "text" || response.heldText === null) return null;
    // Claude is free before the end of its text has arrived.
    await runner.finished;
    const held = response.heldText;
    if (held === null) return null;
    // Before its answer Claude may have written about what it does.
    const candidates = runner.lastMessage === null ? [held] : [held, runner.lastMessage];
    const { text, problem, leftOut } = await checkAnswer(candidates, prefill, format, this.#deps.checker);
    response.unchecked = leftOut;
    if (response.disconnected.aborted) return null;
    if (problem === null) runner.accept(text);
    return problem;
  }

  #saveFile(claudeSession: string): SaveFile {
    return (content, extension) => this.#deps.attachments.saveFile(claudeSession, content, extension);
  }

  /**
   * Counts a cost, in US dollars, for the turn that began last: a report of costs does not name a turn, and it may come
   * when the next one has begun.
   */
  addCost(cost: number): void {
    if (this.#newest === null) this.#costBefore += cost;
    else this.#deps.turns.addCost(this.#newest, cost);
  }

  /** Resolves when all events of a turn have arrived, at once for a turn that has ended. */
  async finishedTurn(id: string): Promise<void> {
    await [...this.#unfinished].find((runner) => runner.id === id)?.finished;
  }

  /** Resolves when all events of all turns have arrived. */
  async finished(): Promise<void> {
    await Promise.all([...this.#unfinished].map(({ finished }) => finished));
  }

  /** Whether a channel message with this id was sent by one of the turns. */
  isOwnMessage(messageId: string | null): boolean {
    return [...this.#unfinished].some(({ id }) => id === messageId);
  }

  /** Hands an event of the process to the turns that it may concern. */
  handleEvent(process: AgentProcess, event: ClaudeEvent): void {
    if (event.type !== "call") {
      for (const runner of this.#unfinished) runner.handle(event);
      return;
    }
    // Only the turn that runs has a client that could run the tool.
    if (this.#running) this.#running.runner.handle(event);
    else process.tools.answer(event.call.id, [{ type: "text", text: NO_CLIENT }], true);
  }

  /**
   * Asks for a permission in the turn that Claude asks in.
   * @param serving the request that is being served when Claude asks, and when the prompt is shown
   */
  askPermission(hook: PermissionHook, serving: () => TurnRequest | undefined, signal: AbortSignal): Promise<Verdict> {
    const runner = [...this.#unfinished].find((one) => one.ownsPrompt(hook.prompt_id));
    const prompt = {
      session: this.#deps.sessionKey,
      turn: runner?.id ?? null,
      tool: hook.tool_name,
      input: hook.tool_input,
      sender: serving()?.sender ?? null,
    };
    return this.#prompts.ask(prompt, runner, () => serving()?.isDirect === true, signal);
  }
}
