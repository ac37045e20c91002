/** Every question of claude's whether it may do something, and what became of it. */
import { desc, eq } from "drizzle-orm";
import type { Store } from "./database.ts";
import { type PermissionRow, permissions } from "./schema.ts";

export interface PermissionLog {
  asked(question: Omit<PermissionRow, "verdict" | "way" | "decidedBy" | "decidedAt">): void;
  decided(id: string, verdict: Required<Pick<PermissionRow, "verdict" | "way" | "decidedBy" | "decidedAt">>): void;
  /** The latest, newest first. */
  latest(count: number): PermissionRow[];
}

export const permissionsIn = ({ database }: Store): PermissionLog => ({
  asked: (question) => void database.insert(permissions).values(question).run(),
  decided: (id, verdict) => void database.update(permissions).set(verdict).where(eq(permissions.id, id)).run(),
  latest: (count) => database.select().from(permissions).orderBy(desc(permissions.askedAt)).limit(count).all(),
});
