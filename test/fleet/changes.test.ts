/** Which rows of a node's own database are noted as not yet in Postgres. */
import { expect, test } from "bun:test";
import { type ChangeSet, trackChanges } from "../../src/fleet/changes.ts";
import { openMemoryStore } from "../../src/store/database.ts";
import { createSessionStore } from "../../src/store/sessions.ts";
import { session } from "../store/rows.ts";

/** The noted sessions by their keys, with a column that tells versions apart; null for one that was deleted. */
const noted = ({ rows, deleted }: ChangeSet) => [
  ...[...rows].flatMap(([{ name }, all]) =>
    name === "sessions" ? all.map((row) => [row.key, row.last_active_at]) : [],
  ),
  ...[...deleted].flatMap(([{ name }, ids]) => (name === "sessions" ? ids.map((id) => [id, null]) : [])),
];

test("a row is noted once, as it is now, until it is in Postgres, and again when it changes after that", () => {
  const store = openMemoryStore();
  const changes = trackChanges(store);
  const sessions = createSessionStore(store);
  for (const lastActiveAt of [1, 2, 3]) sessions.save(session("a", { lastActiveAt }));
  sessions.save(session("b"));
  const first = changes.of(["a"]);
  expect(noted(first)).toEqual([["a", 3]]);

  // It changes while it is written.
  sessions.save(session("a", { lastActiveAt: 4 }));
  changes.forget(["a"], first);
  const second = changes.of(["a"]);
  expect(noted(second)).toEqual([["a", 4]]);
  changes.forget(["a"], second);
  expect([noted(changes.of(["a"])), changes.keys]).toEqual([[], ["b"]]);

  sessions.remove("a");
  expect(noted(changes.of(["a"]))).toEqual([["a", null]]);
});
