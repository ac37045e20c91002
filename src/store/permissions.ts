/** The log of all permission prompts and their verdicts. */
import { and, desc, eq, gte, isNotNull } from "drizzle-orm";
import type { Store } from "./database.ts";
import { type PermissionRow, permissions } from "./schema.ts";

type VerdictColumn = "verdict" | "way" | "rule" | "decidedBy" | "decidedAt";

export interface PermissionLog {
  insertPrompt(prompt: Omit<PermissionRow, VerdictColumn>): void;
  setVerdict(id: string, verdict: Required<Pick<PermissionRow, VerdictColumn>>): void;
  /** The latest `count` prompts, newest first. */
  latest(count: number): PermissionRow[];
  /** The rules that were allowed with the prompts of a session since then. */
  rules(session: string, since: number): string[];
}

export const createPermissionLog = ({ database }: Store): PermissionLog => ({
  insertPrompt: (prompt) => void database.insert(permissions).values(prompt).run(),
  setVerdict: (id, verdict) => void database.update(permissions).set(verdict).where(eq(permissions.id, id)).run(),
  latest: (count) => database.select().from(permissions).orderBy(desc(permissions.askedAt)).limit(count).all(),
  rules: (session, since) =>
    database
      .selectDistinct({ rule: permissions.rule })
      .from(permissions)
      .where(and(eq(permissions.session, session), gte(permissions.askedAt, since), isNotNull(permissions.rule)))
      .all()
      .flatMap(({ rule }) => rule ?? []),
});
