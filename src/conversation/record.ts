/**
 * The record of one conversation: which Claude session it has, with which launch options, where its transcript is, and
 * what that session has received. It outlives processes and the server.
 */
import { existsSync, statSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { projectsFolder } from "../claude/config-folder.ts";
import { launchHash } from "../claude/launch-hash.ts";
import type { LaunchChoice } from "../claude/launch-spec.ts";
import { findTranscript, isTranscriptPath, removeTranscript } from "../claude/transcript/location.ts";
import { recordedTurns, sentTexts } from "../claude/transcript/reader.ts";
import type { Config } from "../config/schema.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { ALL_CLAUDE_TOOLS } from "../core/tools.ts";
import { type Identity, isEphemeral, isIsolated } from "../intake/identity.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { SessionRow } from "../store/schema.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { TurnStore } from "../store/turns.ts";
import type { DeliveredTurn } from "../turn/delivered-turn.ts";
import type { AttachmentStore } from "./attachment-store.ts";
import { DeliveredTurns, deliveredTurn } from "./delivered-turns.ts";
import { isReset } from "./delivery-plan.ts";
import { launchChoice } from "./launch-choice.ts";

const log = getLogger(["synthesis", "conversation"]);

export interface RecordDeps {
  readonly config: Config;
  readonly sessions: SessionStore;
  readonly turns: TurnStore;
  readonly attachments: AttachmentStore;
  readonly env: Record<string, string | undefined>;
  readonly clock?: Clock;
}

export class ConversationRecord {
  readonly #identity: Identity;
  readonly #deps: RecordDeps;
  readonly #clock: Clock;
  /** Null until it is loaded, and for a conversation that the store does not have. */
  #row: SessionRow | null = null;
  /** The launch options of the newest request, and their hash; null before the first one. */
  #hashed: { readonly choice: LaunchChoice; readonly hash: string } | null = null;
  #delivered = new DeliveredTurns();
  #transcript: string | null = null;

  constructor(identity: Identity, deps: RecordDeps) {
    this.#identity = identity;
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
  }

  /** When the conversation's Claude session began, in Unix ms. */
  get startedAt(): number {
    return this.#row?.createdAt ?? this.#clock.wallTime();
  }

  /** The model of the conversation's process; undefined until the record is loaded. */
  get model(): string | null | undefined {
    return this.#row?.model;
  }

  /** The record is deleted when the conversation ends. */
  get isEphemeral(): boolean {
    return isEphemeral(this.#identity.source);
  }

  /** What the Claude session has received. */
  get delivered(): DeliveredTurns {
    return this.#delivered;
  }

  /**
   * The session for a request, with the request's launch options. It is a new one when the conversation is new or when
   * the client has reset it.
   */
  async sessionFor(request: TurnRequest): Promise<SessionRow> {
    if (!this.#row) await this.#load();
    const { affinity } = request;
    if (this.#isReset(request)) {
      log.info("conversation reset by the client", { session: this.#identity.key });
      this.renew();
    }
    const known = this.#row;
    const requested = this.#requestedChoice(request, known);
    const choice = known && request.keepsLaunchOptions ? launchChoice(known) : requested;
    const hash = this.#hashOf(choice);
    const row: SessionRow = {
      ...(known ?? this.#newSession()),
      ...choice,
      launchHash: hash,
      affinity: affinity?.id ?? known?.affinity ?? null,
      generation: affinity?.generation ?? known?.generation ?? null,
      lastActiveAt: this.#clock.wallTime(),
    };
    const changed =
      known?.launchHash !== hash || known.affinity !== row.affinity || known.generation !== row.generation;
    if (changed) this.#save(row);
    this.#row = row;
    return row;
  }

  /** The hash is kept, because it is made of the whole system prompt and hardly ever changes. */
  #hashOf(choice: LaunchChoice): string {
    if (!this.#hashed || !Bun.deepEquals(choice, this.#hashed.choice)) {
      this.#hashed = { choice, hash: launchHash(choice, this.#deps.config) };
    }
    return this.#hashed.hash;
  }

  #isReset(request: TurnRequest): boolean {
    if (this.#row === null) return false;
    const { affinity } = request;
    return isReset(this.#delivered.all, request, {
      before: affinity?.id === this.#row.affinity ? this.#row.generation : null,
      now: affinity?.generation ?? null,
    });
  }

  #requestedChoice(request: TurnRequest, known: SessionRow | null): LaunchChoice {
    const { workspace, model, effort, systemPrompt, claudeTools } = request;
    return {
      workspace: workspace.path,
      model,
      effort,
      systemPrompt: systemPrompt === "" ? this.#lastSystemPrompt(request, known) : systemPrompt,
      // A coding client sends some requests without its tools. A list is not kept: the setting or a header gives it.
      claudeTools: claudeTools ?? (known?.claudeTools?.only === null ? known.claudeTools : ALL_CLAUDE_TOOLS),
      isIsolated: isIsolated(this.#identity.source),
    };
  }

  /**
   * The system prompt for a request without one. Some clients do not send theirs with every request. OpenAI's
   * `instructions` hold only for their own request.
   */
  #lastSystemPrompt({ previousTurn }: TurnRequest, known: SessionRow | null): string | null {
    if (previousTurn !== undefined || this.#identity.source === "response") return null;
    return known?.systemPrompt ?? null;
  }

  #newSession() {
    const { key, source, agent, chat, branchOf = null } = this.#identity;
    const claudeSession = crypto.randomUUID();
    return { key, source, agent, chat, branchOf, claudeSession, createdAt: this.#clock.wallTime(), turns: 0 };
  }

  /**
   * Records a turn whose message Claude has received.
   * @param text of the message as it was sent
   * @param hasExited the process has exited; then an unanswered message counts only if the transcript has it
   */
  async addDelivered(turn: DeliveredTurn, text: string, hasExited: boolean): Promise<void> {
    if (!turn.answered && hasExited && !(await this.#recordedTurns()).has(turn.turn)) return;
    this.#delivered.add(turn, text);
  }

  /** Gives `use` the texts in which turns were sent to Claude. @param use pure, because it may run twice */
  withSentTexts<T>(use: (sentText: (turn: string) => string | null) => T): Promise<T> {
    return this.#delivered.withSentTexts(use, () => this.#readTranscript(sentTexts, new Map<string, string>()));
  }

  /** Records that the client now has the whole answer of a turn whose answer was truncated. */
  markAnswered(turn: string): void {
    const answered = this.#delivered.markAnswered(turn);
    if (!answered) return;
    const now = this.#clock.wallTime();
    const { exchanges } = answered;
    this.#deps.turns.markEnded(turn, { state: "done", at: now, firstTextAt: now, errorCode: null, exchanges });
  }

  /** Continues the conversation in a new Claude session, which has received nothing. */
  renew(): SessionRow {
    const last = this.#row as SessionRow;
    const next = { ...last, claudeSession: crypto.randomUUID(), createdAt: this.#clock.wallTime(), turns: 0 };
    this.#deps.sessions.replaceClaudeSession(last, next);
    this.#deps.attachments.remove(last.claudeSession);
    this.forget();
    this.#row = next;
    return next;
  }

  /** Takes over the unused Claude session of a prewarmed process. */
  adopt(claudeSession: string): void {
    const row = { ...(this.#row as SessionRow), claudeSession };
    this.#save(row);
    this.#row = row;
  }

  /** Starts a new Claude session for the next message. */
  async reset(): Promise<void> {
    if (!this.#row) await this.#load();
    // Pending writes belong to the Claude session that ends here.
    this.#deps.turns.flush();
    if (this.#row) this.renew();
  }

  /**
   * Deletes the conversation from the store; its next message begins a new one.
   * @param transcripts also deletes the transcripts of its Claude sessions
   */
  async remove(transcripts: boolean): Promise<void> {
    this.#deps.turns.flush();
    for (const claudeSession of this.#deps.sessions.remove(this.#identity.key)) {
      this.#deps.attachments.remove(claudeSession);
      if (transcripts) await removeTranscript(claudeSession, this.#deps.env);
    }
    this.forget();
  }

  /**
   * The path of the Claude session's transcript; null when there is none.
   * @param named the path that a hook gave; it is ignored unless it can be a transcript's path
   */
  async transcript(named: string | null = null): Promise<string | null> {
    if (this.#identity.source === "unnamed" || !this.#row) return null;
    if (named !== null && isTranscriptPath(named, projectsFolder(this.#deps.env))) return named;
    const { claudeSession } = this.#row;
    if (!this.#transcript || !existsSync(this.#transcript)) {
      this.#transcript = await findTranscript(claudeSession, this.#deps.env);
    }
    return this.#transcript;
  }

  /** The transcript's size in bytes. */
  async transcriptSize(): Promise<number> {
    const path = this.#transcript ?? (await this.transcript());
    return path === null ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  }

  /** Forgets what the store has of the conversation. */
  forget(): void {
    this.#row = null;
    this.#delivered = new DeliveredTurns();
    this.#transcript = null;
  }

  async #load(): Promise<void> {
    this.#row = this.#deps.sessions.find(this.#identity.key) ?? null;
    if (!this.#row) return;
    const rows = this.#deps.turns.delivered(this.#row.claudeSession);
    const recorded = rows.every(({ state }) => state === "done") ? null : await this.#recordedTurns();
    const received = rows.filter(({ id, state }) => state === "done" || recorded?.has(id));
    this.#delivered = new DeliveredTurns(received.map(deliveredTurn));
  }

  /**
   * The turns whose message is in the transcript. After a process exits, only the transcript shows what Claude knows: a
   * server that was killed may not have recorded the receipt, and Claude writes a message down a while after it.
   */
  #recordedTurns(): Promise<ReadonlySet<string>> {
    return this.#readTranscript(recordedTurns, new Set<string>());
  }

  /** @param fallback the result when there is no transcript, or it cannot be read */
  async #readTranscript<T>(read: (path: string) => Promise<T>, fallback: T): Promise<T> {
    const path = await this.transcript();
    try {
      return path === null ? fallback : await read(path);
    } catch (error) {
      log.warning("transcript not readable: {error}", { session: this.#identity.key, error });
      return fallback;
    }
  }

  #save({ turns: _counted, ...row }: SessionRow): void {
    this.#deps.sessions.save(row);
  }
}
