/**
 * What is known of one conversation: which claude session it is, how that one was started, where its
 * transcript is, and what it was told.
 */
import { existsSync, statSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { projectsFolder } from "../claude/config-folder.ts";
import { launchHash } from "../claude/interactive/launch-hash.ts";
import type { LaunchChoice } from "../claude/interactive/launch-spec.ts";
import type { PrewarmSpec } from "../claude/pool/prewarmed.ts";
import { findTranscript, isTranscriptPath, removeTranscript } from "../claude/transcript/location.ts";
import { recordedTurns, sentTexts } from "../claude/transcript/reader.ts";
import type { Config } from "../config/schema.ts";
import type { DeliveredExchange } from "../intake/exchange.ts";
import type { Identity } from "../intake/identity.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import { allowedWorkspace } from "../intake/workspace.ts";
import type { Exchange, SessionRow, TurnRow } from "../store/schema.ts";
import type { SessionStore } from "../store/sessions.ts";
import { MAX_DELIVERED_TURNS, type TurnStore } from "../store/turns.ts";
import { type DeliveredTurn, truncationOf } from "../turn/delivered-turn.ts";
import type { AttachmentStore } from "./attachment-store.ts";
import { addExchanges, type DeliveryPlan, deliveredExchanges, isReset } from "./delivery-plan.ts";

const log = getLogger(["synthesis", "conversation"]);

export interface RecordDeps {
  readonly config: Config;
  readonly sessions: SessionStore;
  readonly turns: TurnStore;
  readonly attachments: AttachmentStore;
  readonly env: Record<string, string | undefined>;
}

/** How conversations to come are likely to be started: as those that were used last. */
export const likelyLaunches = (sessions: SessionStore, config: Config): PrewarmSpec[] =>
  sessions.latest(config.spares).flatMap((row) => {
    const { trusted } = allowedWorkspace(row.workspace, config) ?? {};
    // Which tools a client brings is not known before it comes.
    return trusted === undefined ? [] : [{ trusted, choice: ConversationRecord.choice(row), tools: new Map() }];
  });

export class ConversationRecord {
  readonly #identity: Identity;
  readonly #deps: RecordDeps;
  #row: SessionRow | null = null;
  #delivered: DeliveredTurn[] = [];
  /** `deliveredExchanges` of these, and of some before them. */
  #exchanges: DeliveredExchange[] = [];
  /** What was sent last: the client's history is likely to show it in other words. */
  #lastSent: { readonly turn: string; readonly text: string } | null = null;
  #transcript: string | null = null;

  constructor(identity: Identity, deps: RecordDeps) {
    this.#identity = identity;
    this.#deps = deps;
  }

  /** When it was begun, or begun anew, in ms of `Date.now()`. */
  get begunAt(): number {
    return this.#row?.createdAt ?? Date.now();
  }

  /** What its Claude has received, oldest first. */
  get delivered(): readonly DeliveredTurn[] {
    return this.#delivered;
  }

  /** The conversation as its Claude knows it. */
  get exchanges(): readonly DeliveredExchange[] {
    return this.#exchanges;
  }

  /** It may have received more before than is remembered. */
  get isTruncated(): boolean {
    return this.#delivered.length >= MAX_DELIVERED_TURNS;
  }

  /** The session for a request: begun if it is new, begun anew if the client has, brought up to date otherwise. */
  async take(request: TurnRequest): Promise<SessionRow> {
    if (!this.#row) await this.#load();
    const { affinity, model, effort, systemPrompt, workspace } = request;
    const before = this.#row;
    const anew =
      before !== null &&
      isReset(this.#delivered, request, {
        before: affinity?.id === before.affinity ? before.generation : null,
        now: affinity?.generation ?? null,
      });
    if (anew) {
      log.info("the client has begun anew", { session: this.#identity.key });
      this.renew();
    }
    const now = Date.now();
    const known = this.#row;
    const asked: LaunchChoice = {
      workspace: workspace.path,
      model,
      effort,
      // Who has sent one does not take it back by sending none; not all clients send it every time.
      systemPrompt: systemPrompt === "" ? (known?.systemPrompt ?? null) : systemPrompt,
      answersOnly: this.#identity.source === "one-shot",
    };
    const choice = known && request.keepsLaunchOptions ? ConversationRecord.choice(known) : asked;
    const hash = launchHash(choice, this.#deps.config);
    const { key, source, agent, chat, branchOf = null } = this.#identity;
    const begun = { key, source, agent, chat, branchOf, claudeSession: crypto.randomUUID(), createdAt: now, turns: 0 };
    const row: SessionRow = {
      ...(known ?? begun),
      ...choice,
      launchHash: hash,
      affinity: affinity?.id ?? known?.affinity ?? null,
      generation: affinity?.generation ?? known?.generation ?? null,
      lastActiveAt: now,
    };
    const changed =
      known?.launchHash !== hash || known.affinity !== row.affinity || known.generation !== row.generation;
    if (changed) this.#save(row);
    this.#row = row;
    return row;
  }

  /** How the session's claude is to be started. */
  static choice({ source, workspace, model, effort, systemPrompt }: SessionRow): LaunchChoice {
    return { workspace, model, effort, systemPrompt, answersOnly: source === "one-shot" };
  }

  /**
   * Notes a turn that Claude has received.
   * @param text in which it was sent
   * @param isGone Claude has ended meanwhile
   */
  async add(turn: DeliveredTurn, text: string, isGone: boolean): Promise<void> {
    if (!turn.answered && isGone && !(await this.#recorded()).has(turn.turn)) return;
    this.#delivered.push(turn);
    if (this.#delivered.length > MAX_DELIVERED_TURNS) this.#delivered.shift();
    addExchanges(this.#exchanges, turn);
    if (this.#exchanges.length > 2 * MAX_DELIVERED_TURNS) this.#exchanges.splice(0, MAX_DELIVERED_TURNS);
    this.#lastSent = { turn: turn.turn, text };
  }

  /**
   * Gives `use` the texts in which turns were sent to Claude. The last one is at hand; the others are in the transcript,
   * which is read only when `use` asks for one of them.
   * @param use pure, since it is then called once more
   */
  async withSentTexts<T>(use: (sentText: (turn: string) => string | null) => T): Promise<T> {
    const last = this.#lastSent;
    let isMissing = false;
    const result = use((turn) => {
      if (turn === last?.turn) return last.text;
      isMissing = true;
      return null;
    });
    if (!isMissing) return result;
    const texts = await this.#fromTranscript(sentTexts, new Map<string, string>());
    return use((turn) => (turn === last?.turn ? last.text : (texts.get(turn) ?? null)));
  }

  /** Notes what has become of a turn that was added before all of its answer was known. */
  complete(turn: DeliveredTurn): void {
    const at = this.#delivered.findLastIndex((one) => one.turn === turn.turn);
    if (at < 0 || Bun.deepEquals(this.#delivered[at]?.exchanges, turn.exchanges)) return;
    this.#delivered[at] = turn;
    this.#exchanges = deliveredExchanges(this.#delivered);
  }

  /** Notes how the client's history shows exchanges by now. */
  rewrite(rewritten: DeliveryPlan["rewritten"]): void {
    if (rewritten.size === 0) return;
    const noted = (exchange: Exchange) => ({ ...exchange, users: rewritten.get(exchange) ?? exchange.users });
    this.#delivered = this.#delivered.map((turn) => ({
      ...turn,
      history: turn.history.map(noted),
      exchanges: turn.exchanges.map(noted),
    }));
    this.#exchanges = deliveredExchanges(this.#delivered);
  }

  /** The client has got the answer of a turn after all. */
  deliver(turn: string): void {
    const lost = this.#delivered.findIndex((one) => one.turn === turn && one.truncation !== null);
    if (lost < 0) return;
    const known = this.#delivered[lost] as DeliveredTurn;
    this.#delivered[lost] = { ...known, answered: true, truncation: null };
    this.#exchanges = deliveredExchanges(this.#delivered);
    const now = Date.now();
    const { exchanges } = known;
    this.#deps.turns.markEnded(turn, { state: "done", at: now, firstTextAt: now, errorCode: null, exchanges });
  }

  /** Goes on in a new claude session, which knows nothing. */
  renew(): SessionRow {
    const last = this.#row as SessionRow;
    const next = { ...last, claudeSession: crypto.randomUUID(), createdAt: Date.now(), turns: 0 };
    this.#deps.sessions.replaceClaudeSession(last, next);
    this.#deps.attachments.remove(last.claudeSession);
    this.#row = next;
    this.#delivered = [];
    this.#exchanges = [];
    this.#lastSent = null;
    this.#transcript = null;
    return next;
  }

  /** Begins in a claude session that is there already, and that nobody has used. */
  adopt(claudeSession: string): void {
    const row = { ...(this.#row as SessionRow), claudeSession };
    this.#save(row);
    this.#row = row;
  }

  /** Begins anew, whatever the client will say next. */
  async reset(): Promise<void> {
    if (!this.#row) await this.#load();
    // What is still to be written down belongs to the session so far.
    this.#deps.turns.flush();
    if (this.#row) this.renew();
  }

  /**
   * Forgets the conversation; the next message begins it as a new one.
   * @param transcripts also removes claude's own records of it
   */
  async remove(transcripts: boolean): Promise<void> {
    this.#deps.turns.flush();
    for (const claudeSession of this.#deps.sessions.remove(this.#identity.key)) {
      this.#deps.attachments.remove(claudeSession);
      if (transcripts) await removeTranscript(claudeSession, this.#deps.env);
    }
    this.#row = null;
    this.#delivered = [];
    this.#exchanges = [];
    this.#lastSent = null;
    this.#transcript = null;
  }

  /**
   * Where claude's transcript is; null while there is none, or when it is gone.
   * @param named where a hook says that it is: it counts only if it can be a transcript's path
   */
  async transcript(named: string | null = null): Promise<string | null> {
    if (named !== null && isTranscriptPath(named, projectsFolder(this.#deps.env))) return named;
    const { claudeSession } = this.#row as SessionRow;
    if (!this.#transcript || !existsSync(this.#transcript)) {
      this.#transcript = await findTranscript(claudeSession, this.#deps.env);
    }
    return this.#transcript;
  }

  /** How much of it there is, in bytes. */
  async transcriptSize(): Promise<number> {
    const path = this.#transcript ?? (await this.transcript());
    return path === null ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  }

  async #load(): Promise<void> {
    this.#row = this.#deps.sessions.find(this.#identity.key) ?? null;
    if (!this.#row) return;
    const rows = this.#deps.turns.delivered(this.#row.claudeSession);
    const recorded = rows.every(({ state }) => state === "done") ? null : await this.#recorded();
    this.#delivered = rows.filter(({ id, state }) => state === "done" || recorded?.has(id)).map(deliveredTurn);
    this.#exchanges = deliveredExchanges(this.#delivered);
  }

  /**
   * The turns whose message is in claude's transcript. When claude is gone this alone tells what it knows: a server
   * that was killed may not have noted the receipt, and claude writes a message down a while after its receipt.
   */
  #recorded(): Promise<ReadonlySet<string>> {
    return this.#fromTranscript(recordedTurns, new Set<string>());
  }

  /** What is read from the transcript; `otherwise` when there is none, or it cannot be read. */
  async #fromTranscript<T>(read: (path: string) => Promise<T>, otherwise: T): Promise<T> {
    const path = await this.transcript();
    try {
      return path === null ? otherwise : await read(path);
    } catch (error) {
      log.warning("transcript not readable: {error}", { session: this.#identity.key, error });
      return otherwise;
    }
  }

  #save({ turns: _counted, ...row }: SessionRow): void {
    this.#deps.sessions.save(row);
  }
}

/** A turn as it was noted in the store. */
export function deliveredTurn(row: TurnRow): DeliveredTurn {
  const { id, traceId, fingerprints, pastFingerprints, state, firstTextAt, errorCode, hadHistory, dropped, volatile } =
    row;
  return {
    turn: id,
    traceId,
    dropped,
    history: row.history ?? pastFingerprints.map((fingerprint) => ({ users: [fingerprint], answer: null })),
    exchanges: row.exchanges ?? [{ users: fingerprints, answer: null }],
    hadHistory,
    volatile,
    answered: state === "done",
    truncation: state === "lost" ? "lost" : truncationOf(errorCode, firstTextAt !== null),
  };
}
