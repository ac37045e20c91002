/**
 * What Claude Code last reported about the account's plan and about each conversation. The figures are kept in memory and
 * written together a while later, because only their latest state counts and a commit costs more than a turn should.
 */
import { getLogger } from "@logtape/logtape";
import { and, eq, sql } from "drizzle-orm";
import type { SessionFigures } from "../core/session-figures.ts";
import type { Store } from "./database.ts";
import { type PlanWindowRow, planWindows, sessionFigures, sessions } from "./schema.ts";

const log = getLogger(["synthesis", "store"]);

/** A server that is killed loses the figures of at most this time, in ms. The next answer reports them again. */
const COLLECT_MS = 5_000;

export interface FiguresStore {
  /** The windows of the plan. */
  windows(): readonly PlanWindowRow[];
  noteWindows(windows: readonly PlanWindowRow[]): void;
  /** The figures of a conversation; null if they are unknown, or belong to another Claude session. */
  ofSession(session: string, claudeSession: string): SessionFigures | null;
  /** The figures of all conversations whose figures are known, by session key. */
  ofSessions(): ReadonlyMap<string, SessionFigures>;
  noteSession(session: string, claudeSession: string, figures: SessionFigures): void;
  /** Writes everything now. If that fails, it is kept and written later. */
  flush(): void;
}

export function createFiguresStore({ database }: Store): FiguresStore {
  const unsavedWindows = new Map<string, PlanWindowRow>();
  const unsavedSessions = new Map<string, { readonly claudeSession: string; readonly figures: SessionFigures }>();
  let timer: Timer | undefined;
  const planSave = () => {
    timer ??= setTimeout(flush, COLLECT_MS);
  };

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (unsavedWindows.size + unsavedSessions.size === 0) return;
    try {
      database.transaction(() => {
        for (const window of unsavedWindows.values()) {
          database
            .insert(planWindows)
            .values(window)
            .onConflictDoUpdate({ target: planWindows.name, set: window })
            .run();
        }
        for (const [session, { claudeSession, figures }] of unsavedSessions) {
          // The conversation may have been deleted meanwhile.
          const isKnown = database.select({ one: sql`1` }).from(sessions).where(eq(sessions.key, session)).get();
          if (!isKnown) continue;
          const row = { session, claudeSession, figures };
          database
            .insert(sessionFigures)
            .values(row)
            .onConflictDoUpdate({ target: sessionFigures.session, set: row })
            .run();
        }
      });
      unsavedWindows.clear();
      unsavedSessions.clear();
    } catch (error) {
      log.warning("figures of Claude Code not saved: {error}", { error });
      planSave();
    }
  }

  return {
    windows: () => database.select().from(planWindows).all(),
    noteWindows: (windows) => {
      for (const window of windows) unsavedWindows.set(window.name, window);
      planSave();
    },
    ofSession: (session, claudeSession) => {
      const unsaved = unsavedSessions.get(session);
      if (unsaved?.claudeSession === claudeSession) return unsaved.figures;
      const isOf = and(eq(sessionFigures.session, session), eq(sessionFigures.claudeSession, claudeSession));
      return database.select().from(sessionFigures).where(isOf).get()?.figures ?? null;
    },
    ofSessions: () => {
      flush();
      const isOf = and(
        eq(sessionFigures.session, sessions.key),
        eq(sessionFigures.claudeSession, sessions.claudeSession),
      );
      const rows = database
        .select({ key: sessions.key, figures: sessionFigures.figures })
        .from(sessionFigures)
        .innerJoin(sessions, isOf)
        .all();
      return new Map(rows.map(({ key, figures }) => [key, figures]));
    },
    noteSession: (session, claudeSession, figures) => {
      unsavedSessions.set(session, { claudeSession, figures });
      planSave();
    },
    flush,
  };
}
