/** A database in a temporary folder, and rows for it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, type Store } from "../../src/store/database.ts";
import type { SessionRow } from "../../src/store/schema.ts";
import { createSessionStore } from "../../src/store/sessions.ts";
import type { SentTurn } from "../../src/store/turns.ts";

export interface TestDatabase extends Disposable {
  readonly file: string;
  readonly store: Store;
  /** Closes the database and opens it again, as a restart of the server does. */
  reopen(): Store;
}

/** A database with a session for each key. */
export function createTestDatabase(...keys: string[]): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  const file = join(folder, "synthesis.db");
  let { store } = openStore(file);
  for (const key of keys) createSessionStore(store).save(session(key));
  return {
    file,
    get store() {
      return store;
    },
    reopen: () => {
      store.close();
      ({ store } = openStore(file));
      return store;
    },
    [Symbol.dispose]: () => {
      store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

export const session = (key: string, more: Partial<SessionRow> = {}): Omit<SessionRow, "turns"> => ({
  key,
  source: "user",
  agent: null,
  chat: null,
  claudeSession: `claude ${key}`,
  workspace: "/w",
  launchHash: "hash",
  model: null,
  effort: null,
  systemPrompt: null,
  claudeTools: null,
  affinity: null,
  generation: null,
  createdAt: 1,
  lastActiveAt: 1,
  branchOf: null,
  ...more,
});

export const sentTurn = (id: string, key: string, more: Partial<SentTurn> = {}): SentTurn => ({
  id,
  session: key,
  claudeSession: `claude ${key}`,
  traceId: null,
  queuedAt: null,
  processOrigin: null,
  sentAt: 10,
  fingerprints: ["f"],
  volatile: null,
  hadHistory: false,
  dropped: 0,
  history: null,
  ...more,
});
