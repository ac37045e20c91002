/**
 * Tells pages what has changed. While no page is open nothing runs. While one is, the state in memory is compared with what
 * was sent, a few times a second; the database is read only when it has changed.
 */
import type { Clock } from "../core/clock.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import { promptDetails } from "../permissions/prompt-body.ts";
import type { LiveConversation, LiveData, LiveEventName } from "../wire/live.ts";
import type { PageRole } from "../wire/page.ts";
import type { RecentErrors } from "./recent-errors.ts";
import type { Snapshot } from "./snapshot.ts";

/** Between two comparisons, in ms. */
const INTERVAL_MS = 400;
/** The figures of a turn may come this many comparisons after its end. */
const SETTLE_TICKS = 25;

export type Send = <Name extends LiveEventName>(name: Name, data: LiveData[Name]) => void;

interface FeedDeps {
  readonly snapshot: Snapshot;
  readonly permissions: Pick<PermissionBroker, "pending">;
  readonly errors: Pick<RecentErrors, "all">;
  readonly turns: { readonly changes: number };
  readonly clock: Clock;
}

/** A page, and what it has been sent. */
interface Watcher {
  readonly role: PageRole;
  readonly send: Send;
  readonly sent: Map<string, string>;
  conversations: ReadonlyMap<string, string>;
  /** Conversations that work or have just worked, and for how many more comparisons their turns may change. */
  readonly working: Map<string, number>;
  changes: number;
}

export class LiveFeed {
  readonly #deps: FeedDeps;
  readonly #watchers = new Set<Watcher>();
  #cancel = () => {};

  constructor(deps: FeedDeps) {
    this.#deps = deps;
  }

  /** Sends everything now, and what changes from now on. @returns ends that */
  watch(role: PageRole, send: Send): () => void {
    const watcher: Watcher = {
      role,
      send,
      sent: new Map(),
      conversations: new Map(),
      working: new Map(),
      changes: this.#deps.turns.changes,
    };
    this.#sendConversations(watcher, this.#deps.snapshot.conversations(), true);
    this.#sendRest(watcher);
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1) this.#schedule();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#cancel();
    };
  }

  #schedule(): void {
    this.#cancel = this.#deps.clock.after(INTERVAL_MS, () => {
      const conversations = this.#deps.snapshot.conversations();
      for (const watcher of this.#watchers) {
        this.#sendConversations(watcher, conversations, false);
        this.#sendRest(watcher);
      }
      if (this.#watchers.size > 0) this.#schedule();
    });
  }

  #sendRest(watcher: Watcher): void {
    const { snapshot, permissions, errors } = this.#deps;
    sendChanged(watcher, "overview", snapshot.overview(watcher.role));
    sendChanged(watcher, "permissions", { data: permissions.pending.map(promptDetails) });
    sendChanged(watcher, "errors", { data: [...errors.all] });
  }

  #sendConversations(watcher: Watcher, all: readonly LiveConversation[], whole: boolean): void {
    const now = new Map(all.map((one) => [one.key, JSON.stringify(one)]));
    const data = all.filter(({ key }) => watcher.conversations.get(key) !== now.get(key));
    const removed = [...watcher.conversations.keys()].filter((key) => !now.has(key));
    const running = all.filter(({ state }) => state !== "idle" && state !== "cold");
    for (const [key, left] of watcher.working) {
      if (left > 1) watcher.working.set(key, left - 1);
      else watcher.working.delete(key);
    }
    for (const { key } of running) watcher.working.set(key, SETTLE_TICKS);
    if (whole || data.length > 0 || removed.length > 0) watcher.send("conversations", { whole, data, removed });
    // The steps of a turn are in the database: only those of conversations that work, or just did, can have changed.
    const { changes } = this.#deps.turns;
    const sessions = [...watcher.working.keys()];
    if (!whole && changes !== watcher.changes && sessions.length > 0) watcher.send("timeline", { sessions });
    watcher.conversations = now;
    watcher.changes = changes;
  }
}

function sendChanged<Name extends LiveEventName>({ sent, send }: Watcher, name: Name, data: LiveData[Name]): void {
  const text = JSON.stringify(data);
  if (sent.get(name) === text) return;
  sent.set(name, text);
  send(name, data);
}
