/**
 * The process of one conversation. The lease gets a process that is free for a turn: the one that runs, a prewarmed one,
 * or a new one that resumes the Claude session. A conversation never has two processes, because both would write into
 * one transcript.
 */

import { getLogger } from "@logtape/logtape";
import type { AgentProcess, ClaudeEvent, PermissionHook, ProcessOwner } from "../claude/agent-process.ts";
import { BootFailure } from "../claude/boot-failure.ts";
import type { Pool } from "../claude/pool/pool.ts";
import { engineOf } from "../config/agent-settings.ts";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../core/clock.ts";
import { type Identity, isEphemeral, isUnnamed } from "../intake/identity.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import type { SessionRow } from "../store/schema.ts";
import type { ProcessOrigin } from "../turn/response-stream.ts";
import type { Verdict } from "../wire/hooks.ts";
import { ExternalPrompts } from "./external-prompts.ts";
import { launchChoice } from "./launch-choice.ts";
import type { ConversationRecord } from "./record.ts";

const log = getLogger(["synthesis", "conversation"]);

const MEMORY_LOST =
  "Claude Code's record of this conversation is missing, so Claude no longer knows what was said before.";

/** The conversation, as its lease needs it. */
export interface LeaseHolder {
  /** A request is being served. */
  isServing(): boolean;
  /** Whether a channel message with this id was sent by one of the conversation's turns. */
  isOwnMessage(messageId: string | null): boolean;
  onEvent(process: AgentProcess, event: ClaudeEvent): void;
  onPermission(hook: PermissionHook, signal: AbortSignal): Promise<Verdict>;
  /** Runs a change of the process when no turn runs, before the next request is served. */
  betweenTurns(change: () => Promise<void>): void;
  /** As `ProcessOwner` says. */
  parkedSince(): number | null;
  releaseParked(): void;
}

interface LeaseDeps {
  readonly config: Config;
  readonly pool: Pick<Pool, "start" | "adopt" | "noteIdle" | "hasRoom">;
  readonly permissions: Pick<PermissionBroker, "grantedRules">;
  readonly clock: Clock;
  readonly record: Pick<ConversationRecord, "transcript" | "renew" | "adopt" | "delivered" | "startedAt">;
}

/** A process that is free for a turn. */
export interface LeasedProcess {
  readonly process: AgentProcess;
  readonly origin: ProcessOrigin;
  readonly claudeSession: string;
  /** What the client should know about the process, in sentences. */
  readonly notices: readonly string[];
}

export class ProcessLease implements ProcessOwner {
  readonly #identity: Identity;
  readonly #deps: LeaseDeps;
  readonly #holder: LeaseHolder;
  readonly #externalPrompts: ExternalPrompts;
  #process: AgentProcess | null = null;

  constructor(identity: Identity, deps: LeaseDeps, holder: LeaseHolder) {
    this.#identity = identity;
    this.#deps = deps;
    this.#holder = holder;
    this.#externalPrompts = new ExternalPrompts(() => {
      // Another conversation may be waiting for a process slot.
      if (!this.isBusy()) deps.pool.noteIdle();
    });
  }

  /** The process, in any state; null when none runs. */
  get process(): AgentProcess | null {
    return this.#process;
  }

  /** Claude works on a prompt that no request caused. */
  get hasExternalPrompt(): boolean {
    return this.#externalPrompts.isAny;
  }

  isBusy(): boolean {
    return this.#holder.isServing() || this.#externalPrompts.isAny;
  }

  parkedSince(): number | null {
    return this.#holder.parkedSince();
  }

  releaseParked(): void {
    this.#holder.releaseParked();
  }

  /**
   * Gets a process that is free for a turn. It waits for external prompts to end, and for a process slot.
   * @param signal aborted when the client disconnects
   * @returns null when the client has disconnected
   */
  async acquire(request: TurnRequest, session: SessionRow, signal: AbortSignal): Promise<LeasedProcess | null> {
    const current = this.#process;
    // The process of an unnamed chat knows only the history that the request continues.
    const mayKnowHistory = !request.dialogue || request.continuesDialogue;
    if (current && mayKnowHistory && (await this.#isFreeFor(current, session, signal))) {
      return { process: current, origin: "warm", claudeSession: session.claudeSession, notices: [] };
    }
    if (current && signal.aborted) return null;
    await current?.stop();
    return this.#start(request, session, signal);
  }

  /** Whether the process can take the next message: same session, connected, idle, and with the session's launch options. */
  async #isFreeFor(process: AgentProcess, session: SessionRow, signal: AbortSignal): Promise<boolean> {
    const isSuitable =
      process.state === "ready" && process.spec.claudeSession === session.claudeSession && !process.isShared;
    if (!isSuitable || !(await process.isConnected()) || !(await this.#waitForExternalPrompts(signal))) return false;
    if (!(await process.adapt(launchChoice(session)))) return false;
    // The process may have exited or lost its connection while the lease waited.
    return process.state === "ready" && process.connected;
  }

  /** False when the prompts take longer than a turn may take, or the client disconnects. */
  async #waitForExternalPrompts(signal: AbortSignal): Promise<boolean> {
    if (!this.#externalPrompts.isAny) return true;
    return this.#withTimeout(this.#deps.config.turnTimeoutMs, (timeout) =>
      this.#externalPrompts.waitForEnd(AbortSignal.any([signal, timeout])),
    );
  }

  /** Starts a process, or adopts a prewarmed one. @param isMemoryLost an earlier attempt could not resume the session */
  async #start(
    request: TurnRequest,
    session: SessionRow,
    signal: AbortSignal,
    isMemoryLost = false,
  ): Promise<LeasedProcess> {
    const { pool, record } = this.#deps;
    const resume = (await record.transcript()) !== null;
    const isTranscriptMissing = !resume && record.delivered.all.length > 0;
    // Messages that Claude never answered are no memory that the client would miss.
    const { hasAnswer } = record.delivered;
    const { claudeSession } = isTranscriptMissing ? record.renew() : session;
    const spec = {
      sessionKey: session.key,
      claudeSession,
      resume,
      trusted: request.workspace.trusted,
      choice: launchChoice(session),
      // Only there can a process be started without a transcript and with a history.
      engine: request.dialogue ? "stream" : engineOf(session.agent, this.#deps.config),
      tools: request.offer.catalogue,
      ...(request.dialogue && !resume ? { history: request.dialogue().history } : {}),
      isUnnamed: isUnnamed(this.#identity.source),
      rules: this.#grantedRules,
    };
    const prewarmed = resume || spec.rules.length > 0 ? null : pool.adopt(spec, this);
    if (prewarmed) record.adopt(prewarmed.spec.claudeSession);
    const process = prewarmed ?? (await pool.start(spec, this, signal));
    this.#process = process;
    try {
      await process.ready;
    } catch (error) {
      if (spec.engine === "auto" && isChannelRefused(error)) {
        // From now on the launcher uses the other engine, and no message has been sent in this session.
        await process.stop();
        return this.#start(request, { ...session, claudeSession: process.spec.claudeSession }, signal, isMemoryLost);
      }
      if (!resume || !isUnknownSession(error)) throw error;
      // A new session needs another id: Claude Code has a file with this one, even though it cannot resume it.
      await process.stop();
      return this.#start(request, record.renew(), signal, hasAnswer);
    }
    const hasForgotten = isMemoryLost || (isTranscriptMissing && hasAnswer);
    if (hasForgotten) {
      log.warning("transcript missing, conversation continues in a new Claude session", { session: session.key });
    }
    return {
      process,
      origin: resume ? "resumed" : prewarmed ? "spare" : "cold",
      claudeSession: process.spec.claudeSession,
      notices: [
        // A client that sends the history restores Claude's memory with it.
        ...(hasForgotten && !request.input.hasHistory ? [MEMORY_LOST] : []),
        // A one-shot's answer may have to be JSON, and no person reads it.
        ...(isEphemeral(this.#identity.source) ? [] : process.takeNotes()),
      ],
    };
  }

  /** Runs a task with a signal that is aborted after `ms`. */
  async #withTimeout<T>(ms: number, task: (timeout: AbortSignal) => Promise<T>): Promise<T> {
    const timeout = new AbortController();
    const cancel = this.#deps.clock.after(ms, () => timeout.abort());
    try {
      return await task(timeout.signal);
    } finally {
      cancel();
    }
  }

  /** What users have allowed in this conversation beyond the configuration. */
  get #grantedRules(): readonly string[] {
    return this.#deps.permissions.grantedRules(this.#identity.key, this.#deps.record.startedAt);
  }

  /** Stops the process, and resolves when it has exited. */
  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  /** Interrupts an external prompt. False when Claude works on none. */
  interruptExternalPrompt(): boolean {
    if (!this.#externalPrompts.isAny || this.#process?.status?.status !== "busy") return false;
    this.#process.interrupt();
    return true;
  }

  onEvent(process: AgentProcess, event: ClaudeEvent): void {
    if (event.type === "hook") {
      this.#externalPrompts.handleHook(event.hook, (messageId) => this.#holder.isOwnMessage(messageId));
    } else if (event.type === "status") {
      // A person at Claude's terminal may interrupt an external prompt, which no hook reports.
      if (this.#externalPrompts.isAny && process.status?.status === "idle") this.#externalPrompts.endAll();
    } else if (event.type === "exit") {
      this.#externalPrompts.endAll();
      if (this.#process === process) this.#process = null;
    }
    this.#holder.onEvent(process, event);
  }

  onPermission(hook: PermissionHook, signal: AbortSignal): Promise<Verdict> {
    return this.#holder.onPermission(hook, signal);
  }

  onOversized(process: AgentProcess): void {
    this.#holder.betweenTurns(() => this.#restart(process));
  }

  /** Restarts an idle process to free memory, so that the next message need not wait for it. */
  async #restart(process: AgentProcess): Promise<void> {
    if (this.#process !== process || process.state !== "ready") return;
    await process.stop();
    const { pool, config, record } = this.#deps;
    if (!pool.hasRoom || (await record.transcript()) === null) return;
    try {
      const spec = { ...process.successor, rules: this.#grantedRules };
      const next = await this.#withTimeout(config.readyTimeoutMs, (timeout) => pool.start(spec, this, timeout));
      this.#process = next;
      await next.ready;
    } catch (error) {
      // The next message starts a process again, and its client receives the error if that fails, too.
      log.warning("process not restarted: {error}", { session: this.#identity.key, error });
    }
  }
}

/** Claude Code has a file of the session, but cannot resume it. */
const isUnknownSession = (error: unknown): boolean =>
  error instanceof BootFailure && error.reason === "session_not_found";

const isChannelRefused = (error: unknown): boolean =>
  error instanceof BootFailure && error.reason === "channel_refused";
