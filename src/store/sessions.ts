/** The conversations that are known, by their keys. */
import { eq, sql } from "drizzle-orm";
import type { Store } from "./database.ts";
import { type SessionRow, sessions } from "./schema.ts";

export interface Sessions {
  find(key: string): SessionRow | undefined;
  /** Writes a session: a new one, or the launch of a known one. */
  save(session: Omit<SessionRow, "turns">): void;
}

export function sessionsIn({ database }: Store): Sessions {
  const find = database
    .select()
    .from(sessions)
    .where(eq(sessions.key, sql.placeholder("key")))
    .prepare();
  return {
    find: (key) => find.get({ key }),
    save: (session) => {
      database.insert(sessions).values(session).onConflictDoUpdate({ target: sessions.key, set: session }).run();
    },
  };
}
