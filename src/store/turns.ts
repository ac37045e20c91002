/** Every turn, as it goes. */
import { eq, inArray, sql } from "drizzle-orm";
import type { Usage } from "../openai/chunks.ts";
import type { Store } from "./database.ts";
import { sessions, type TurnRow, turns } from "./schema.ts";

interface TurnEnd {
  readonly state: "done" | "failed" | "interrupted";
  readonly at: number;
  /** When the client was first shown something, if it was. */
  readonly firstTextAt: number | null;
  readonly errorCode: string | null;
}

export interface Turns {
  /** A message was sent to claude. */
  sent(turn: Pick<TurnRow, "id" | "session" | "traceId" | "sentAt">): void;
  /** claude has received it; its conversation counts it. */
  received(id: string, session: string, at: number, promptId: string): void;
  ended(id: string, end: TurnEnd): void;
  /** The tokens it took, which are known a little later. */
  usage(id: string, usage: Usage): void;
  /** Marks what a dead server left in the middle; how many there were. */
  markLost(at: number): number;
}

export function turnsIn({ database }: Store): Turns {
  const value = (name: string) => sql`${sql.placeholder(name)}`;
  const mine = eq(turns.id, sql.placeholder("id"));
  const insert = database
    .insert(turns)
    .values({
      id: sql.placeholder("id"),
      session: sql.placeholder("session"),
      state: "sent",
      traceId: sql.placeholder("traceId"),
      sentAt: sql.placeholder("sentAt"),
    })
    .prepare();
  const received = database
    .update(turns)
    .set({ state: "running", receivedAt: value("at"), promptId: value("promptId") })
    .where(mine)
    .prepare();
  const count = database
    .update(sessions)
    .set({ turns: sql`${sessions.turns} + 1`, lastActiveAt: value("at") })
    .where(eq(sessions.key, sql.placeholder("session")))
    .prepare();
  const ended = database
    .update(turns)
    .set({
      state: value("state"),
      endedAt: value("at"),
      firstTextAt: value("firstTextAt"),
      errorCode: value("errorCode"),
    })
    .where(mine)
    .prepare();
  const usage = database
    .update(turns)
    .set({ tokensIn: value("input"), tokensOut: value("output"), tokensCached: value("cached") })
    .where(mine)
    .prepare();
  return {
    sent: (turn) => void insert.run(turn),
    received: (id, session, at, promptId) =>
      database.transaction(() => {
        received.run({ id, at, promptId });
        count.run({ session, at });
      }),
    ended: (id, end) => void ended.run({ id, ...end }),
    usage: (id, { input, output, cached }) => void usage.run({ id, input, output, cached }),
    markLost: (at) =>
      database
        .update(turns)
        .set({ state: "lost", endedAt: at })
        .where(inArray(turns.state, ["sent", "running"]))
        .returning({ id: turns.id })
        .all().length,
  };
}
