/**
 * `/v1/sessions`: the conversations, and what an operator can do with them. The responses hold no text of any message.
 */
import { getLogger } from "@logtape/logtape";
import { Hono } from "hono";
import { z } from "zod";
import type { AgentProcess } from "../../claude/agent-process.ts";
import type { ConversationRegistry } from "../../conversation/registry.ts";
import { RequestError } from "../../core/errors.ts";
import type { SessionFigures } from "../../core/session-figures.ts";
import { costOf } from "../../core/usage.ts";
import type { FiguresStore } from "../../store/figures.ts";
import type { PastSessionRow, SessionRow, TurnRow } from "../../store/schema.ts";
import type { SessionStore } from "../../store/sessions.ts";
import type { TurnStore } from "../../store/turns.ts";
import {
  type PastSession,
  type Session,
  type SessionDetails,
  type SessionList,
  type SessionTurn,
  sessionList,
} from "../../wire/sessions.ts";
import type { Env } from "../env.ts";
import { disableIdleTimeout, restoreIdleTimeout } from "../idle-timeout.ts";
import type { OwnerNode } from "../owner-node.ts";
import { screenRows } from "../screen-rows.ts";
import { screenStream } from "../screen-stream.ts";
import { valid } from "../validation.ts";

const log = getLogger(["synthesis", "sessions"]);

/** The details of a session show this many turns. */
const LATEST_TURNS = 20;

const removal = z.object({ transcript: z.enum(["0", "1"]).default("0") });

interface SessionsDeps {
  readonly ownerNode: OwnerNode;
  /** The conversations that no node has, in a fleet. */
  readonly resting?: (() => Promise<readonly SessionRow[]>) | undefined;
  readonly conversations: ConversationRegistry;
  readonly sessions: SessionStore;
  readonly turns: TurnStore;
  readonly figures: Pick<FiguresStore, "ofSession">;
}

export function sessionRoutes({
  ownerNode,
  resting,
  conversations,
  sessions,
  turns,
  figures,
}: SessionsDeps): Hono<Env> {
  /** @throws RequestError if the key is unknown */
  const find = (key: string): SessionRow => {
    // The session's row counts its turns, and the store writes that count a little later.
    turns.flush();
    const row = sessions.find(key);
    if (row) return row;
    throw new RequestError(
      "session_not_found",
      `There is no session ${key}. \`synthesis sessions list\` shows all sessions.`,
    );
  };

  const sessionBody = (row: SessionRow): Session => {
    const conversation = conversations.find(row.key);
    return {
      key: row.key,
      source: row.source,
      agent: row.agent,
      chat: row.chat,
      workspace: row.workspace,
      model: row.model,
      effort: row.effort,
      claude_session: row.claudeSession,
      created_at: row.createdAt,
      last_active_at: row.lastActiveAt,
      turns: row.turns,
      state: conversation?.state ?? "cold",
      pid: conversation?.process?.pid ?? null,
      waiting: conversation?.waiting ?? 0,
    };
  };

  /** @throws RequestError if the key is unknown, or no process runs */
  const runningProcess = (key: string): AgentProcess => {
    const process = conversations.find(find(key).key)?.process;
    if (process) return process;
    throw new RequestError("not_running", "No process runs for this session. The next message starts one.");
  };

  return new Hono<Env>()
    .get("/", async (c) => {
      turns.flush();
      const here = sessions.all().map(sessionBody);
      const { answers, missing } = await ownerNode.others(c, sessionList);
      const unclaimed = c.env.access.isForwarded ? [] : ((await resting?.()) ?? []);
      const data = [...here, ...answers.flatMap((other) => other.data), ...unclaimed.map(sessionBody)];
      data.sort((one, other) => other.last_active_at - one.last_active_at);
      return c.json({ object: "list", data, missing_nodes: missing } satisfies SessionList);
    })
    .use("/:key/*", async (c, next) =>
      ownerNode.ofKey(c, c.req.param("key"), async () => {
        await next();
        return c.res;
      }),
    )
    .get("/:key", (c) => {
      const row = find(c.req.param("key"));
      const total = turns.totalUsage(row.key);
      return c.json({
        ...sessionBody(row),
        tokens_in: total?.input ?? null,
        tokens_out: total?.output ?? null,
        tokens_cached: total?.cached ?? null,
        figures: figuresBody(figures.ofSession(row.key, row.claudeSession)),
        last_turns: turns.latest(row.key, LATEST_TURNS).map(turnBody),
        past_sessions: sessions.pastSessions(row.key).map(pastSessionBody),
      } satisfies SessionDetails);
    })
    .delete("/:key", valid("query", removal), async (c) => {
      const row = find(c.req.param("key"));
      // Claude Code may take longer to exit than the idle timeout.
      disableIdleTimeout(c);
      await conversations.remove(row, c.req.valid("query").transcript === "1");
      log.info("session deleted", { session: row.key });
      return c.json({ key: row.key, deleted: true });
    })
    .post("/:key/interrupt", (c) => {
      const row = find(c.req.param("key"));
      const error = new RequestError(
        "turn_interrupted",
        "This turn was interrupted through the control API. Send the message again to continue.",
      );
      if (!conversations.find(row.key)?.interrupt(error)) {
        throw new RequestError("not_running", "No turn runs in this session, so there is nothing to interrupt.");
      }
      log.info("turn interrupted through the control API", { session: row.key });
      return c.json(sessionBody(row));
    })
    .post("/:key/reset", async (c) => {
      const row = find(c.req.param("key"));
      disableIdleTimeout(c);
      await conversations.reset(row);
      log.info("session reset", { session: row.key });
      // An unnamed chat has ended with it.
      return c.json(sessionBody(sessions.find(row.key) ?? row));
    })
    .get("/:key/screen", (c) => {
      const process = runningProcess(c.req.param("key"));
      disableIdleTimeout(c);
      return screenStream(process, () => restoreIdleTimeout(c));
    })
    .get("/:key/screen/rows", (c) => {
      const process = runningProcess(c.req.param("key"));
      disableIdleTimeout(c);
      return screenRows(c, process, c.var.page?.ended ?? null);
    });
}

const figuresBody = (figures: SessionFigures | null): SessionDetails["figures"] => ({
  context_used_percent: figures?.contextUsedPercent ?? null,
  cost_usd: figures?.costUsd ?? null,
  cache_hit_ratio: figures?.cacheHitRatio ?? null,
  cache_misses: figures?.cacheMisses ?? null,
  last_cache_miss_cause: figures?.lastCacheMissCause ?? null,
});

const turnBody = (turn: TurnRow): SessionTurn => ({
  id: turn.id,
  claude_session: turn.claudeSession,
  state: turn.state,
  queued_at: turn.queuedAt,
  sent_at: turn.sentAt,
  received_at: turn.receivedAt,
  first_text_at: turn.firstTextAt,
  ended_at: turn.endedAt,
  error_code: turn.errorCode,
  tokens_in: turn.tokensIn,
  tokens_out: turn.tokensOut,
  tokens_cached: turn.tokensCached,
  model: turn.modelUsage?.[0]?.model ?? null,
  cost_usd: costOf(turn.modelUsage ?? []),
  process_origin: turn.processOrigin,
  tools: (turn.tools ?? []).map(({ name, startedAt, endedAt }) => ({
    name,
    started_at: startedAt,
    ended_at: endedAt,
  })),
});

const pastSessionBody = ({ claudeSession, workspace, createdAt, endedAt }: PastSessionRow): PastSession => ({
  claude_session: claudeSession,
  workspace,
  created_at: createdAt,
  ended_at: endedAt,
});
