/** All conversations that do something, by their keys; the others are rows in the store. */
import { ApiError } from "../openai/errors.ts";
import { Conversation, type ConversationDeps } from "./conversation.ts";
import type { Identity } from "./identity.ts";
import { Reply } from "./reply.ts";
import type { Workspace } from "./workspace.ts";

/** So many messages may wait in one conversation. */
const MAX_WAITING = 16;

export interface Conversations {
  /** Puts a message into a conversation, begun if it is new. */
  ask(identity: Identity, text: string, workspace: Workspace, traceId: string | null): Reply;
  /** What the last turn said of claude's login; `unknown` before there was one. */
  readonly login: "ok" | "expired" | "unknown";
  /** Takes no more messages, fails those that wait, and gives those that run `drainMs` to end. */
  drain(drainMs: number): Promise<void>;
}

export function createConversations(deps: ConversationDeps): Conversations {
  const { config, pool } = deps;
  const conversations = new Map<string, Conversation>();
  let login: Conversations["login"] = "unknown";
  let draining = false;
  /** How long a turn takes of late, in ms. */
  let typicalTurn = 10_000;

  const create = (identity: Identity): Conversation =>
    new Conversation(identity, deps, {
      onTurn: (ms, error) => {
        if (ms !== null) typicalTurn += (ms - typicalTurn) / 8;
        if (error?.code === "claude_not_logged_in") login = "expired";
        else if (!error) login = "ok";
      },
      onRest: () => conversations.delete(identity.key),
    });

  /** Seconds until `ahead` turns are likely to be over when `together` run at a time. */
  const retryAfter = (ahead: number, together: number) =>
    Math.min(600, Math.max(1, Math.ceil((typicalTurn * ahead) / together / 1000)));

  function refusal(conversation: Conversation): ApiError | null {
    if (draining) return shuttingDown();
    if (conversation.waiting >= MAX_WAITING) {
      return new ApiError(
        "queue_full",
        `${MAX_WAITING} messages wait in this conversation already.`,
        null,
        retryAfter(conversation.waiting, 1),
      );
    }
    const mustWait = conversation.isBusy || !(conversation.hasProcess || pool.hasRoom);
    const waiting = [...conversations.values()].reduce((sum, one) => sum + one.waiting, 0);
    if (!mustWait || waiting < config.maxQueue) return null;
    return new ApiError(
      "queue_full",
      `All claude processes are at work and ${waiting} messages wait. Try again later, or raise SYNTHESIS_MAX_PROCESSES.`,
      null,
      retryAfter(waiting + 1, config.maxProcesses),
    );
  }

  return {
    ask: (identity, text, workspace, traceId) => {
      const reply = new Reply(traceId);
      const conversation = conversations.get(identity.key) ?? create(identity);
      const refused = refusal(conversation);
      if (refused) reply.fail(refused);
      else {
        conversations.set(identity.key, conversation);
        conversation.ask({ text, workspace, reply });
      }
      return reply;
    },
    get login() {
      return login;
    },
    drain: async (drainMs) => {
      draining = true;
      const all = [...conversations.values()];
      for (const conversation of all) conversation.refuseWaiting(shuttingDown());
      const timer = setTimeout(() => {
        for (const conversation of all) conversation.interrupt(shuttingDown());
      }, drainMs);
      await Promise.all(all.map((conversation) => conversation.idle()));
      clearTimeout(timer);
    },
  };
}

const shuttingDown = () => new ApiError("shutting_down", "synthesis is shutting down.", null, 5);
