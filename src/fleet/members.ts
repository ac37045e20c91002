/** The members of the fleet: the machines whose certificates each node trusts. The database decides who is one. */
import { createHmac } from "node:crypto";
import { eq } from "drizzle-orm";
import type { Postgres } from "../store/postgres/connect.ts";
import { members } from "../store/postgres/tables.ts";

export type Member = typeof members.$inferSelect;

/** All members, by their names. @throws RequestError (`database_unavailable`) */
export const readMembers = (postgres: Postgres): Promise<readonly Member[]> =>
  postgres.run((database) => database.select().from(members).orderBy(members.name));

/** The certificates that a node trusts: those in use, and those that will be. */
export const certificatesOf = (all: readonly Member[]): readonly string[] =>
  all.flatMap(({ certificate, nextCertificate }) => (nextCertificate ? [certificate, nextCertificate] : [certificate]));

/**
 * Shows whether two machines have the same keys, without showing the keys. A client's request may come to any node, so
 * each must know its key.
 */
export const keysDigest = (chatKey: string, controlKey: string): string =>
  createHmac("sha256", controlKey).update(chatKey).digest("base64url");

/** @throws RequestError (`database_unavailable`), also when there is a member of this name */
export async function addMember(postgres: Postgres, member: Omit<Member, "nextCertificate">): Promise<void> {
  await postgres.run((database) => database.insert(members).values(member));
}

/** @throws RequestError (`database_unavailable`) */
export async function changeMember(postgres: Postgres, name: string, change: Partial<Member>): Promise<void> {
  await postgres.run((database) => database.update(members).set(change).where(eq(members.name, name)));
}

/** Nodes trust the member's certificate no more, from their next renewal on. @throws RequestError (`database_unavailable`) */
export async function removeMember(postgres: Postgres, name: string): Promise<void> {
  await postgres.run((database) => database.delete(members).where(eq(members.name, name)));
}
