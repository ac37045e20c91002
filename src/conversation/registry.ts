/**
 * The conversations that are in memory, by session key: those that have a process or serve a request. All others exist
 * only in the store until their next request.
 */

import { findExecutable } from "../claude/executable.ts";
import type { Login } from "../claude/login.ts";
import { claudeNotFound, notLoggedIn } from "../claude/start-errors.ts";
import { unnamedConfig } from "../config/unnamed.ts";
import { systemClock } from "../core/clock.ts";
import { RequestError, shuttingDown } from "../core/errors.ts";
import { TypicalDuration } from "../core/typical-duration.ts";
import { type Identity, isEphemeral, isUnnamed, ownerOf, recordedIdentity, rootOf } from "../intake/identity.ts";
import type { ParsedRequest } from "../intake/parsed-request.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import { wireChain } from "../intake/wire-chain.ts";
import type { SessionRow } from "../store/schema.ts";
import { ResponseStream } from "../turn/response-stream.ts";
import { createBranchRouter } from "./branch-router.ts";
import { Conversation, type ConversationDeps } from "./conversation.ts";
import type { ConversationRecord } from "./record.ts";
import { ResponseChats } from "./response-chats.ts";
import { UnnamedChats } from "./unnamed.ts";

/** How many requests may wait in one conversation. */
const MAX_WAITING = 16;
/** The estimate of how long a turn takes before the first one has ended, in ms. */
const INITIAL_ESTIMATE_MS = 10_000;

/** A request, and the conversation that got it. */
interface ResponseSubmission {
  readonly identity: Identity;
  readonly response: ResponseStream;
}

/** A request whose turn has ended, or that ended before its message was sent. */
export interface EndedTurn {
  readonly agent: string | null;
  /** The model that it asked for; null for Claude Code's default model. */
  readonly model: string | null;
  /** `interrupted`: a client or the owner of the control key has ended it, or it took too long. */
  readonly outcome: "done" | "failed" | "interrupted";
  /** How long Claude worked on it; null when Claude never received it. */
  readonly ms: number | null;
  /** The response to its first request. */
  readonly response: ResponseStream;
}

/** How many turns there are. */
interface TurnLoad {
  /** They have been sent, and Claude is not free for the next one. */
  readonly running: number;
  /** Those of them that wait for their client. */
  readonly parked: number;
  /** Requests that wait for a turn or for a process. */
  readonly waiting: number;
}

export interface ConversationRegistry {
  /**
   * The error that a new conversation's first request would fail with now, as far as is known; null when it would be
   * accepted.
   */
  unavailability(): RequestError | null;
  /** Hands a request to its conversation, which begins with it if it is new. */
  submit(identity: Identity, request: TurnRequest): ResponseStream;
  /**
   * Hands a request that names no conversation to the one that it continues, or begins a new one.
   * @param mayLinger as in `UnnamedChats.submit`
   */
  submitUnnamed(parsed: ParsedRequest, request: TurnRequest, mayLinger: boolean): ResponseStream;
  /**
   * Hands a request to the conversation of responses that it continues, or begins a new one.
   * @param named the conversation that the request names by ids, or a new one
   */
  submitResponse(parsed: ParsedRequest, named: Identity, request: TurnRequest): ResponseSubmission;
  /** As in `UnnamedChats`. */
  expectsNext(parsed: ParsedRequest): boolean;
  /** The conversation with this key, if it has a process or serves a request. */
  find(key: string): Conversation | undefined;
  /**
   * Ends a turn that runs, or whose request waits, as in `Conversation.interruptTurn`.
   * @param owner the name of the chat key; null for the server's own
   * @returns its conversation; null when it does neither, or is of another key
   */
  interruptTurn(turn: string, owner: string | null, error: RequestError): Identity | null;
  /** Ends a conversation's turns and its process. Its next message begins a new Claude session. */
  reset(session: SessionRow): Promise<void>;
  /** Resets a conversation and removes it from the store. @param transcripts also removes Claude's transcripts of it */
  remove(session: SessionRow, transcripts: boolean): Promise<void>;
  /**
   * Resolves when a change of a conversation is recorded so that it outlives this node, if it is one of a fleet. `reset`
   * and `remove` wait for that themselves.
   * @throws RequestError (`conversation_moved`, `database_unavailable`)
   */
  record(session: SessionRow): Promise<void>;
  readonly load: TurnLoad;
  /** How long a turn usually takes, in ms. */
  readonly typicalTurnMs: number;
  /** Calls the listener with each turn that has ended. */
  onTurnEnd(listener: (turn: EndedTurn) => void): void;
  /** Whether a conversation, or a branch of it, has a process or serves a request. */
  isInMemory(root: string): boolean;
  /** Ends a conversation and its branches at once, without a change of the store: another node has it. */
  abandon(root: string, error: RequestError): Promise<void>;
  /** Refuses requests from now on, fails those that wait, and gives the turns that run `drainMs` to end. */
  drain(drainMs: number): Promise<void>;
}

/** What a node of a fleet does for its conversations. */
interface NodeRecords {
  /**
   * Resolves when an answer is recorded so that it outlives this node.
   * @param transcript that has the answer; null when it has not all of it yet
   */
  recordAnswer(root: string, transcript: string | null): Promise<void>;
  /** Records what has changed in a conversation. @throws RequestError as the fleet does */
  recordChanges(root: string): Promise<void>;
  /** Records that calls of a client's tools wait here for their results, which may come to any node. */
  recordCalls(ids: readonly string[]): Promise<void>;
  /** A conversation, with its branches, has no process and no request. */
  noteRest(root: string): void;
  /** How long a message would wait on the node that is free first, in s; null if that is unknown. */
  readonly shortestWait: number | null;
}

interface RegistryDeps extends ConversationDeps {
  readonly login: Login;
  /** Absent for a server that is no node of a fleet. */
  readonly records?: NodeRecords | undefined;
}

export function createConversationRegistry(deps: RegistryDeps): ConversationRegistry {
  const { config, pool, sessions, turns, rejections, login, env } = deps;
  const conversations = new Map<string, Conversation>();
  const unnamedDeps: ConversationDeps = { ...deps, config: unnamedConfig(config) };
  const branches = createBranchRouter(sessions, turns, (key) => conversations.get(key));
  const turnDuration = new TypicalDuration(INITIAL_ESTIMATE_MS);
  const listeners = new Set<(turn: EndedTurn) => void>();
  let draining = false;

  const unnamed = new UnnamedChats(config, deps.clock ?? systemClock, {
    ownerOfCalls: (request) => findOwner(request, isUnnamed)?.key ?? null,
    submit: (identity, request) => submit(identity, request),
    remove: (key) => conversations.get(key)?.remove(),
  });

  const responses = new ResponseChats();

  /** Whether Claude gets the messages of such a conversation as they are. */
  const hasDialogue = ({ source }: Identity): boolean =>
    source === "unnamed" || (source === "response" && config.oneShots === "print");

  const create = (identity: Identity): Conversation =>
    new Conversation(identity, hasDialogue(identity) ? unnamedDeps : deps, {
      onTurn: ({ ms, error, hasModelAnswer, workspace, model, response, isTruncated, finished }) => {
        const outcome = outcomeOf(error, isTruncated);
        const ended = { agent: identity.agent, model, outcome, ms, response };
        void finished.then(() => {
          for (const listener of listeners) listener(ended);
        });
        if (ms !== null) turnDuration.add(ms);
        if (error?.code === "claude_not_logged_in") login.noteRejection(workspace);
        else if (hasModelAnswer) login.noteAnswer(workspace);
        if (identity.source === "response") limitFirstResponses();
      },
      keeps: () => unnamed.keeps(identity.key),
      onRest: () => {
        conversations.delete(identity.key);
        unnamed.forget(identity.key);
        responses.forget(identity.key);
        if (!isEphemeral(identity.source)) deps.records?.noteRest(rootOf(identity));
      },
    });

  /** The conversation, of a source that `isOwner` accepts, whose turn waits for a result in a request. */
  function findOwner(request: TurnRequest, isOwner: (source: string) => boolean): Identity | null {
    const mayBe = ({ identity }: Conversation) => isOwner(identity.source) && ownerOf(identity) === request.owner;
    return [...conversations.values()].find((one) => mayBe(one) && one.hasResultFor(request))?.identity ?? null;
  }

  /** Why a request is refused; null when it is accepted. */
  function refusal(conversation: Conversation, request: TurnRequest): RequestError | null {
    if (draining) return shuttingDown();
    if (conversation.awaits(request)) return null;
    if (conversation.waiting >= MAX_WAITING) {
      return new RequestError(
        "queue_full",
        `${MAX_WAITING} messages are waiting in this conversation already. Send the message again when some of them are answered.`,
        { retryAfter: turnDuration.retryAfter(conversation.waiting, 1) },
      );
    }
    const mustWait = conversation.isBusy || !(conversation.hasProcess || pool.hasRoom);
    return mustWait ? fullQueue() : null;
  }

  const countWaiting = (): number => [...conversations.values()].reduce((sum, one) => sum + one.waiting, 0);

  /** Why no more requests may wait; null when one more may. */
  function fullQueue(): RequestError | null {
    const waiting = countWaiting();
    if (waiting < config.maxQueue) return null;
    const own = turnDuration.retryAfter(waiting + 1, config.maxProcesses);
    return new RequestError(
      "queue_full",
      `All Claude Code processes are busy and ${waiting} messages are waiting. Try again later, or raise SYNTHESIS_MAX_PROCESSES.`,
      { retryAfter: Math.min(own, deps.records?.shortestWait ?? own) },
    );
  }

  /**
   * Ends a conversation and makes a change to its record. A conversation that is only in the store comes into memory for
   * it, so that a request that arrives meanwhile waits for the change.
   */
  async function end(session: SessionRow, message: string, change: (record: ConversationRecord) => Promise<void>) {
    if (draining) throw shuttingDown();
    const conversation = conversations.get(session.key) ?? create(recordedIdentity(session));
    conversations.set(session.key, conversation);
    await conversation.end(new RequestError("turn_interrupted", message), change);
  }

  async function record(session: SessionRow): Promise<void> {
    if (!isEphemeral(session.source)) await deps.records?.recordChanges(rootOf(recordedIdentity(session)));
  }

  /** Ends a conversation and all its branches. */
  async function endAll(session: SessionRow, message: string, change: (record: ConversationRecord) => Promise<void>) {
    await Promise.all([session, ...sessions.branches(session.key)].map((row) => end(row, message, change)));
    await record(session);
  }

  function submit(named: Identity, requested: TurnRequest): ResponseStream {
    const response = new ResponseStream();
    // A program that wants JSON cannot use a part of it, and must not get anything else.
    if (requested.format.type === "json") response.hold();
    // The turn that a request continues is of one branch.
    const identity = requested.previousTurn === undefined ? branches.route(named, requested) : named;
    const request = identity === named ? requested : { ...requested, affinity: null };
    const conversation = conversations.get(identity.key) ?? create(identity);
    const error = refusal(conversation, request);
    if (error) response.fail(error);
    else {
      recordBeforeEnd(conversation, response);
      conversations.set(identity.key, conversation);
      conversation.submit({ request, response });
    }
    return response;
  }

  /** In a fleet the client has the end of an answer only when another node could go on from it. */
  function recordBeforeEnd(conversation: Conversation, response: ResponseStream): void {
    const { records } = deps;
    const { identity } = conversation;
    if (!records) return;
    response.beforeEnd = async () => {
      // The request with the results may not name the conversation.
      const isUnfindable = isEphemeral(identity.source) || identity.source === "response";
      if (isUnfindable && response.end?.type === "calls") {
        await records.recordCalls(response.end.calls.map(({ id }) => id));
      }
      if (isEphemeral(identity.source)) return;
      await records.recordAnswer(rootOf(identity), await conversation.transcriptOf(response.turn.id));
    };
  }

  const inMemory = (root: string) => [...conversations.values()].filter(({ identity }) => rootOf(identity) === root);

  function submitResponse(parsed: ParsedRequest, named: Identity, request: TurnRequest): ResponseSubmission {
    const chain = wireChain(parsed, request.owner);
    const isNew = !conversations.has(named.key) && sessions.find(named.key) === undefined;
    const isResponse = (source: string) => source === "response";
    const known = isNew ? (findOwner(request, isResponse)?.key ?? responses.find(chain)) : null;
    const identity = known === null ? named : { ...named, key: known };
    const response = submit(identity, request);
    // A request that was refused leaves its conversation as it was.
    if (response.error === null) responses.note(identity.key, chain, response, isNew && known === null);
    return { identity, response };
  }

  /**
   * Stops idle processes of responses that no request has continued yet, beyond as many as may linger: many programs ask
   * only once. The next request resumes its conversation.
   */
  function limitFirstResponses(): void {
    const idle = [...conversations.values()].filter(
      ({ identity, hasBeenContinued, hasProcess, isBusy }) =>
        identity.source === "response" && !hasBeenContinued && hasProcess && !isBusy,
    );
    // The oldest comes first.
    for (const one of idle.slice(0, Math.max(0, idle.length - config.maxLingering))) void one.process?.stop();
  }

  return {
    unavailability() {
      if (draining) return shuttingDown();
      if (!findExecutable(config.claudeBin, env)) return claudeNotFound(config.claudeBin);
      if (login.blocksMessages) return notLoggedIn();
      return rejections.refusal(null) ?? (pool.hasRoom ? null : fullQueue());
    },
    find: (key) => conversations.get(key),
    interruptTurn: (turn, owner, error) =>
      [...conversations.values()].find((one) => ownerOf(one.identity) === owner && one.interruptTurn(turn, error))
        ?.identity ?? null,
    reset: (session) =>
      endAll(session, "This session was reset. Send the message again to begin a new one.", (record) =>
        // No message could begin a new Claude session in it.
        isEphemeral(session.source) ? record.remove(true) : record.reset(),
      ),
    remove: async (session, transcripts) => {
      await endAll(session, "This session was deleted. Send the message again to begin a new one.", (record) =>
        record.remove(transcripts),
      );
    },
    record,
    submit,
    submitResponse,
    submitUnnamed: (parsed, request, mayLinger) => unnamed.submit(parsed, request, mayLinger),
    expectsNext: (parsed) => unnamed.expectsNext(parsed),
    get load() {
      const all = [...conversations.values()];
      return {
        running: all.filter(({ runsTurn }) => runsTurn).length,
        parked: all.filter(({ isParked }) => isParked).length,
        waiting: countWaiting(),
      };
    },
    get typicalTurnMs() {
      return turnDuration.estimate;
    },
    onTurnEnd: (listener) => {
      listeners.add(listener);
    },
    isInMemory: (root) => inMemory(root).length > 0,
    abandon: async (root, error) => {
      await Promise.all(inMemory(root).map((conversation) => conversation.abandon(error)));
    },
    drain: async (drainMs) => {
      draining = true;
      const all = [...conversations.values()];
      for (const conversation of all) conversation.refuse(shuttingDown());
      const timer = setTimeout(() => {
        for (const conversation of all) conversation.interrupt(shuttingDown());
      }, drainMs);
      await Promise.all(all.map((conversation) => conversation.idle()));
      clearTimeout(timer);
    },
  };
}

function outcomeOf(error: RequestError | null, isTruncated: boolean): EndedTurn["outcome"] {
  if (error?.code === "turn_interrupted" || error?.code === "turn_timeout") return "interrupted";
  if (error) return "failed";
  return isTruncated ? "interrupted" : "done";
}
