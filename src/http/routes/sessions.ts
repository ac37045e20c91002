/**
 * `/v1/sessions`: what conversations there are, and what may be done to them from outside. Nothing that was said is
 * shown. Times are Unix milliseconds.
 */
import { getLogger } from "@logtape/logtape";
import { Hono } from "hono";
import { z } from "zod";
import type { ConversationRegistry } from "../../conversation/registry.ts";
import { RequestError } from "../../core/errors.ts";
import type { PastSessionRow, SessionRow, TurnRow } from "../../store/schema.ts";
import type { SessionStore } from "../../store/sessions.ts";
import type { TurnStore } from "../../store/turns.ts";
import { limitIdle } from "../connection-idle.ts";
import type { Env } from "../listen.ts";
import { screenStream } from "../screen-stream.ts";
import { valid } from "../validation.ts";

const log = getLogger(["synthesis", "sessions"]);

/** So many turns are shown of one session. */
const TURNS_SHOWN = 20;

const removal = z.object({ transcript: z.enum(["0", "1"]).default("0") });

interface SessionsDeps {
  readonly conversations: ConversationRegistry;
  readonly sessions: SessionStore;
  readonly turns: TurnStore;
}

export function sessionRoutes({ conversations, sessions, turns }: SessionsDeps): Hono<Env> {
  const known = (key: string): SessionRow => {
    // The count of turns is gathered for a moment.
    turns.flush();
    const row = sessions.find(key);
    if (!row)
      throw new RequestError(
        "session_not_found",
        `There is no session ${key}. \`synthesis sessions list\` shows those there are.`,
      );
    return row;
  };

  const shown = (row: SessionRow) => {
    const live = conversations.find(row.key);
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
      state: live?.state ?? "cold",
      pid: live?.process?.pid ?? null,
      waiting: live?.waiting ?? 0,
    };
  };

  return new Hono<Env>()
    .get("/", (c) => {
      turns.flush();
      return c.json({ object: "list", data: sessions.all().map(shown) });
    })
    .get("/:key", (c) => {
      const row = known(c.req.param("key"));
      const total = turns.total(row.key);
      return c.json({
        ...shown(row),
        tokens_in: total?.input ?? null,
        tokens_out: total?.output ?? null,
        tokens_cached: total?.cached ?? null,
        last_turns: turns.latest(row.key, TURNS_SHOWN).map(shownTurn),
        past_sessions: sessions.past(row.key).map(shownPast),
      });
    })
    .delete("/:key", valid("query", removal), async (c) => {
      const row = known(c.req.param("key"));
      // claude may take its time to end; Bun's limit for a quiet connection is ten seconds.
      c.env.server.timeout(c.req.raw, 0);
      await conversations.remove(row, c.req.valid("query").transcript === "1");
      log.info("session deleted", { session: row.key });
      return c.json({ key: row.key, deleted: true });
    })
    .post("/:key/interrupt", (c) => {
      const row = known(c.req.param("key"));
      const interrupted = conversations
        .find(row.key)
        ?.interrupt(
          new RequestError("turn_interrupted", "This turn was interrupted from outside. Send the message again."),
        );
      if (!interrupted)
        throw new RequestError("not_running", "Nothing runs in this session, and so there is nothing to interrupt.");
      log.info("turn interrupted from outside", { session: row.key });
      return c.json(shown(row));
    })
    .post("/:key/reset", async (c) => {
      const row = known(c.req.param("key"));
      c.env.server.timeout(c.req.raw, 0);
      await conversations.reset(row);
      log.info("session reset", { session: row.key });
      return c.json(shown(known(row.key)));
    })
    .get("/:key/screen", (c) => {
      const { key } = known(c.req.param("key"));
      const process = conversations.find(key)?.process;
      if (!process) {
        throw new RequestError("not_running", "No claude runs for this session. Its next message starts one.");
      }
      c.env.server.timeout(c.req.raw, 0);
      return screenStream(process, () => limitIdle(c));
    });
}

const shownTurn = (turn: TurnRow) => ({
  id: turn.id,
  claude_session: turn.claudeSession,
  state: turn.state,
  sent_at: turn.sentAt,
  received_at: turn.receivedAt,
  first_text_at: turn.firstTextAt,
  ended_at: turn.endedAt,
  error_code: turn.errorCode,
  tokens_in: turn.tokensIn,
  tokens_out: turn.tokensOut,
  tokens_cached: turn.tokensCached,
});

const shownPast = ({ claudeSession, workspace, createdAt, endedAt }: PastSessionRow) => ({
  claude_session: claudeSession,
  workspace,
  created_at: createdAt,
  ended_at: endedAt,
});
