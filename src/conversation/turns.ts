/**
 * The turns of one conversation: starts them, hands them what their process does, and keeps each one until all its
 * events have arrived.
 */
import type { AgentProcess, ClaudeEvent, PermissionHook } from "../claude/agent-process.ts";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../core/clock.ts";
import { RequestError } from "../core/errors.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import { PermissionPrompts } from "../permissions/prompts.ts";
import type { TurnStore } from "../store/turns.ts";
import { type ProgressFormatter, progressFormatter } from "../turn/progress.ts";
import { TurnRunner } from "../turn/runner.ts";
import type { Verdict } from "../wire/hooks.ts";
import type { AttachmentStore } from "./attachment-store.ts";
import type { LeasedProcess } from "./process-lease.ts";
import type { ConversationRecord } from "./record.ts";
import { RunningTurn } from "./running-turn.ts";
import type { SaveFile } from "./tool-results.ts";
import { prepareMessage } from "./turn-message.ts";
import type { QueuedTurn } from "./turn-queue.ts";

/** What Claude reads as the result of a call of a client's tool when no turn runs. */
const NO_CLIENT = "No client is connected to this chat now.";

interface TurnsDeps {
  readonly config: Config;
  readonly turns: TurnStore;
  readonly attachments: AttachmentStore;
  readonly permissions: PermissionBroker;
  readonly env: Record<string, string | undefined>;
  readonly clock: Clock;
  readonly sessionKey: string;
  readonly record: ConversationRecord;
  /** The turn is parked: it waits for its client. */
  readonly onParked: (turn: RunningTurn) => void;
  /** Takes a request that was about to join a turn when the turn ended. */
  readonly onLate: (turn: QueuedTurn) => void;
}

export class ConversationTurns {
  readonly #deps: TurnsDeps;
  readonly #prompts: PermissionPrompts;
  readonly #progress: ProgressFormatter;
  /** The turns whose events have not all arrived. The newest of them may still run. */
  readonly #unfinished = new Set<TurnRunner>();
  #running: RunningTurn | null = null;

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
   * Sends Claude the message of a request, and waits until Claude is free for the next one.
   * @param onSent called when the message was sent
   * @returns the error that the turn's last client received; null when there was none
   */
  async run(
    { request, response }: QueuedTurn,
    { process, origin, claudeSession }: LeasedProcess,
    onSent: () => void,
  ): Promise<RequestError | null> {
    const { config, turns, attachments, permissions, clock, record, sessionKey, onParked, onLate } = this.#deps;
    await process.tools.offer(request.offer.catalogue);
    const transcriptAt = await record.transcriptSize();
    // The plugin's connection may have dropped. It reconnects, and no message has been sent yet.
    await process.isConnected();
    const saveFile: SaveFile = (content, extension) => attachments.saveFile(claudeSession, content, extension);
    const isFresh = origin === "cold" || origin === "spare";
    const message = await prepareMessage(request, { record, isFresh, saveFile });
    const runner = new TurnRunner({
      config,
      turns,
      clock,
      process,
      response,
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
      throw new RequestError(
        "message_not_received",
        "The connection to Claude Code was lost before the message was sent. Send the message again.",
        { retryAfter: 1 },
      );
    }
    this.#running = new RunningTurn({
      runner,
      tools: process.tools,
      request,
      prompts: this.#prompts,
      permissions,
      saveFile,
      onLate,
    });
    onSent();
    this.#unfinished.add(runner);
    void runner.finished.then(() => this.#unfinished.delete(runner));
    await runner.idle;
    this.#running = null;
    if (runner.delivered) {
      await record.addDelivered(runner.delivered, message.text, process.state === "exited");
      // Claude is free before the end of its text has arrived.
      void runner.finished.then(() => runner.delivered && record.delivered.complete(runner.delivered));
    }
    return runner.error;
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
