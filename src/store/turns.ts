/** Every turn, as it goes. */
import { eq, inArray, sql } from "drizzle-orm";
import type { Usage } from "../openai/chunks.ts";
import type { Store } from "./database.ts";
import { type TurnRow, turns } from "./schema.ts";

export interface Turns {
  /** A message was sent to claude. */
  sent(turn: Pick<TurnRow, "id" | "session" | "traceId" | "sentAt">): void;
  received(id: string, at: number, promptId: string): void;
  firstText(id: string, at: number): void;
  ended(id: string, at: number, state: "done" | "failed" | "interrupted", errorCode?: string): void;
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
  const firstText = database
    .update(turns)
    .set({ firstTextAt: value("at") })
    .where(mine)
    .prepare();
  const ended = database
    .update(turns)
    .set({ state: value("state"), endedAt: value("at"), errorCode: value("errorCode") })
    .where(mine)
    .prepare();
  const usage = database
    .update(turns)
    .set({ tokensIn: value("input"), tokensOut: value("output"), tokensCached: value("cached") })
    .where(mine)
    .prepare();
  return {
    sent: (turn) => void insert.run(turn),
    received: (id, at, promptId) => void received.run({ id, at, promptId }),
    firstText: (id, at) => void firstText.run({ id, at }),
    ended: (id, at, state, errorCode) => void ended.run({ id, at, state, errorCode: errorCode ?? null }),
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
