/** All conversations that do something, by their keys; the others are rows in the store. */

import { findExecutable } from "../claude/executable.ts";
import { claudeNotFound } from "../claude/start-errors.ts";
import { RequestError, shuttingDown } from "../core/errors.ts";
import { TypicalDuration } from "../core/typical-duration.ts";
import type { Identity } from "../intake/identity.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { SessionRow } from "../store/schema.ts";
import { ResponseStream } from "../turn/response-stream.ts";
import { type Branch, branchKey, chooseBranch } from "./branches.ts";
import { Conversation, type ConversationDeps } from "./conversation.ts";
import { deliveredTurn } from "./delivered-turns.ts";
import type { ConversationRecord } from "./record.ts";

/** So many messages may wait in one conversation. */
const MAX_WAITING = 16;
/** The server counts as quiet when for so long, in ms, no turn has ended and none runs. */
const QUIET_MS = 1_000;
/** The estimate of how long a turn takes before the first one has ended. */
const INITIAL_ESTIMATE_MS = 10_000;

export interface ConversationRegistry {
  /** Why a message that begins a conversation would be turned away now; null when it would not. */
  unavailability(): RequestError | null;
  /** Puts a message into a conversation, begun if it is new. */
  submit(identity: Identity, request: TurnRequest): ResponseStream;
  /** The conversation of this key, if it does something or has a claude. */
  find(key: string): Conversation | undefined;
  /** Ends a known conversation's turns and its claude; its next message begins a new claude session. */
  reset(session: SessionRow): Promise<void>;
  /** As `reset`, and forgets it. @param transcripts also removes claude's own records of it */
  remove(session: SessionRow, transcripts: boolean): Promise<void>;
  /** What the last turn said of claude's login; `unknown` before there was one. */
  readonly login: "ok" | "expired" | "unknown";
  /** Takes no more messages, fails those that wait, and gives those that run `drainMs` to end. */
  drain(drainMs: number): Promise<void>;
}

export function createConversationRegistry(deps: ConversationDeps): ConversationRegistry {
  const { config, pool, sessions, turns, env } = deps;
  const conversations = new Map<string, Conversation>();
  let login: ConversationRegistry["login"] = "unknown";
  let draining = false;
  let quiet: Timer | undefined;
  const turnDuration = new TypicalDuration(INITIAL_ESTIMATE_MS);

  const create = (identity: Identity): Conversation =>
    new Conversation(identity, deps, {
      onTurn: (ms, error) => {
        if (ms !== null) turnDuration.add(ms);
        if (error?.code === "claude_not_logged_in") login = "expired";
        else if (!error) login = "ok";
        tidyWhenQuiet();
      },
      onRest: () => conversations.delete(identity.key),
    });

  /** After much work the heap is several times what is in use, and in an idle process nothing ever shrinks it. */
  function tidyWhenQuiet(): void {
    clearTimeout(quiet);
    quiet = setTimeout(() => {
      if (![...conversations.values()].some(({ isBusy }) => isBusy)) Bun.gc(true);
    }, QUIET_MS);
  }

  function refusal(conversation: Conversation, request: TurnRequest): RequestError | null {
    if (draining) return shuttingDown();
    if (conversation.awaits(request)) return null;
    if (conversation.waiting >= MAX_WAITING) {
      return new RequestError(
        "queue_full",
        `${MAX_WAITING} messages wait in this conversation already. Send this one again when some are answered.`,
        { retryAfter: turnDuration.retryAfter(conversation.waiting, 1) },
      );
    }
    const mustWait = conversation.isBusy || !(conversation.hasProcess || pool.hasRoom);
    return mustWait ? fullQueue() : null;
  }

  /** Why no more messages may wait; null when one more may. */
  function fullQueue(): RequestError | null {
    const waiting = [...conversations.values()].reduce((sum, one) => sum + one.waiting, 0);
    if (waiting < config.maxQueue) return null;
    return new RequestError(
      "queue_full",
      `All claude processes are at work and ${waiting} messages wait. Try again later, or raise SYNTHESIS_MAX_PROCESSES.`,
      { retryAfter: turnDuration.retryAfter(waiting + 1, config.maxProcesses) },
    );
  }

  /**
   * Changes a conversation when it is at rest. Also one that is only a row gets its object for that time: a message
   * that comes meanwhile finds it, and waits.
   */
  async function change(session: SessionRow, why: string, make: (record: ConversationRecord) => Promise<void>) {
    if (draining) throw shuttingDown();
    const { key, agent, chat, branchOf } = session;
    const source = session.source as Identity["source"];
    const branch = branchOf === null ? {} : { branchOf };
    const conversation = conversations.get(key) ?? create({ key, source, agent, chat, affinity: null, ...branch });
    conversations.set(key, conversation);
    await conversation.end(new RequestError("turn_interrupted", why), make);
  }

  /** A conversation with all its branches. */
  async function changeAll(session: SessionRow, why: string, make: (record: ConversationRecord) => Promise<void>) {
    await Promise.all([session, ...sessions.branches(session.key)].map((row) => change(row, why, make)));
  }

  /** The keys of the conversations that have branches. */
  const branched = new Set(sessions.keysWithBranches());

  /** Which model a conversation works with, by its newest request; undefined when there is no such conversation. */
  const modelOf = (key: string): string | null | undefined => {
    const newest = conversations.get(key)?.newestModel;
    return newest === undefined ? sessions.find(key)?.model : newest;
  };

  function asBranch(row: Pick<SessionRow, "key" | "claudeSession"> | { key: string }): Branch {
    const { key } = row;
    const delivered = () => ("claudeSession" in row ? turns.delivered(row.claudeSession).map(deliveredTurn) : []);
    return {
      key,
      model: modelOf(key) ?? null,
      pendingFingerprints: conversations.get(key)?.pendingFingerprints ?? [],
      delivered,
    };
  }

  /** The conversation itself, or another model's branch of it. */
  function branchFor(identity: Identity, request: TurnRequest): Identity {
    const { key, source } = identity;
    if (request.fromOpenClaw || source === "side" || source === "one-shot") return identity;
    const model = modelOf(key);
    if (model === undefined || (model === request.model && !branched.has(key))) return identity;
    const all = [asBranch(sessions.find(key) ?? { key }), ...sessions.branches(key).map(asBranch)];
    const waiting = all.find((branch) => conversations.get(branch.key)?.awaits(request));
    const chosen = waiting ?? chooseBranch(all, request);
    if (chosen?.key === key) return identity;
    branched.add(key);
    // By OpenClaw's own id of the session the conversation itself is asked for.
    return { ...identity, key: chosen?.key ?? branchKey(key, request.model), affinity: null, branchOf: key };
  }

  return {
    unavailability() {
      if (draining) return shuttingDown();
      if (!findExecutable(config.claudeBin, env)) return claudeNotFound(config.claudeBin);
      return pool.hasRoom ? null : fullQueue();
    },
    find: (key) => conversations.get(key),
    reset: (session) =>
      changeAll(session, "This session was reset. Send the message again to begin anew.", (record) => record.reset()),
    remove: async (session, transcripts) => {
      await changeAll(session, "This session was deleted. Send the message again to begin a new one.", (record) =>
        record.remove(transcripts),
      );
      branched.delete(session.key);
    },
    submit: (named, asked) => {
      const response = new ResponseStream();
      const identity = branchFor(named, asked);
      const request = identity === named ? asked : { ...asked, affinity: null };
      const conversation = conversations.get(identity.key) ?? create(identity);
      const refused = refusal(conversation, request);
      if (refused) response.fail(refused);
      else {
        conversations.set(identity.key, conversation);
        conversation.submit({ request, response });
      }
      return response;
    },
    get login() {
      return login;
    },
    drain: async (drainMs) => {
      draining = true;
      clearTimeout(quiet);
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
