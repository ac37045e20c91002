/** Every question of claude's whether it may do something, and what became of it. */
import { and, desc, eq, gte, isNotNull, isNull } from "drizzle-orm";
import type { Store } from "./database.ts";
import { type PermissionRow, permissions } from "./schema.ts";

type Decided = "verdict" | "way" | "rule" | "decidedBy" | "decidedAt";

export interface PermissionLog {
  asked(question: Omit<PermissionRow, Decided>): void;
  decided(id: string, verdict: Required<Pick<PermissionRow, Decided>>): void;
  /** What a server that was killed has left open is a no: its claudes went with it. */
  markGone(at: number): void;
  /** The latest, newest first. */
  latest(count: number): PermissionRow[];
  /** The rules that were given in a session with what it has asked since then. */
  rules(session: string, since: number): string[];
}

export const createPermissionLog = ({ database }: Store): PermissionLog => ({
  asked: (question) => void database.insert(permissions).values(question).run(),
  decided: (id, verdict) => void database.update(permissions).set(verdict).where(eq(permissions.id, id)).run(),
  markGone: (at) =>
    void database
      .update(permissions)
      .set({ verdict: "deny", way: "gone", decidedAt: at })
      .where(isNull(permissions.verdict))
      .run(),
  latest: (count) => database.select().from(permissions).orderBy(desc(permissions.askedAt)).limit(count).all(),
  rules: (session, since) =>
    database
      .selectDistinct({ rule: permissions.rule })
      .from(permissions)
      .where(and(eq(permissions.session, session), gte(permissions.askedAt, since), isNotNull(permissions.rule)))
      .all()
      .flatMap(({ rule }) => rule ?? []),
});
