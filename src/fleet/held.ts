/**
 * The conversations that this node has. It claims one before its first request, loads what Postgres has of it, commits
 * its changes, and gives it back when it rests.
 */
import { getLogger } from "@logtape/logtape";
import { type Clock, systemClock } from "../core/clock.ts";
import { RequestError } from "../core/errors.ts";
import type { Store } from "../store/database.ts";
import type { Postgres } from "../store/postgres/connect.ts";
import { closeUnfinished } from "../store/recovery.ts";
import type { SessionStore } from "../store/sessions.ts";
import { type ChangeSet, type Changes, trackChanges } from "./changes.ts";
import { type Claim, claim, findClaim, type Owner, release } from "./claims.ts";
import type { Lease } from "./lease.ts";
import { commit, type FileChanges, loadPieces, loadRows } from "./ledger.ts";
import type { SessionFiles } from "./session-files.ts";

const log = getLogger(["synthesis", "fleet"]);

/** A commit that fails is tried again after this time, in ms, while the lease is good. */
const RETRY_MS = 250;
const NO_FILES: FileChanges = { pieces: [], rewritten: [] };

/** A stay of a request, or of an operator's command, in a conversation of this node. */
export interface Visit {
  /** The conversation may be given back when it rests. */
  leave(): void;
}

interface Held {
  readonly root: string;
  /** Its key and those of its branches, also of branches that no longer exist: their deletion must be committed too. */
  readonly keys: Set<string>;
  claim: Claim;
  visits: number;
  /** It is claimed and loaded, and is not being given back. */
  isOpen: boolean;
  /** Resolves when its present step is over: a claim, a commit, or that it is given back. */
  step: Promise<unknown>;
  /** The Claude sessions that Postgres has files of. */
  claudeSessions: Set<string>;
}

export interface HeldDeps {
  readonly postgres: Postgres;
  readonly store: Pick<Store, "database">;
  readonly sessions: SessionStore;
  readonly files: SessionFiles;
  readonly lease: () => Pick<Lease, "id" | "isGood">;
  /** Writes what stores have collected into the node's own database. */
  readonly flush: () => void;
  /** Whether the conversation, or a branch of it, has a process or serves a request. */
  readonly isInMemory: (root: string) => boolean;
  /** Ends all of a conversation at once: another node has it, or may have it. */
  readonly abandon: (root: string, error: RequestError) => Promise<void>;
  readonly clock?: Clock;
}

export interface HeldConversations {
  /**
   * Claims a conversation, unless this node has it already.
   * @returns the node that has it, if that is another one
   * @throws RequestError (`database_unavailable`)
   */
  enter(root: string): Promise<Visit | Owner>;
  has(root: string): boolean;
  readonly count: number;
  /** Gives a conversation back if it rests. */
  noteRest(root: string): void;
  /** Commits the rows that have changed. @throws RequestError when the claim no longer holds, or Postgres is away */
  commitRows(root: string): Promise<void>;
  /** Commits everything, the files too. It waits for Postgres as long as the lease is good. @throws RequestError as above */
  commitAll(root: string): Promise<void>;
  /** Commits what has changed outside of turns, and gives back what rests. */
  sweep(): Promise<void>;
  /** Ends all conversations at once. */
  abandonAll(error: RequestError): void;
  /** How many commits were refused, since another node had the conversation. */
  readonly refusals: number;
}

const moved = () =>
  new RequestError("conversation_moved", "This conversation has moved to another node. Send the message again.", {
    retryAfter: 1,
  });

export function createHeldConversations(deps: HeldDeps): HeldConversations {
  const { postgres, store, sessions, files, lease, clock = systemClock } = deps;
  const changes: Changes = trackChanges(store);
  const all = new Map<string, Held>();
  /** Conversations that this node may have claimed without knowing it: the answer of Postgres did not arrive. */
  const unsure = new Set<string>();
  let refusals = 0;

  function keysOf({ root, keys }: Held): string[] {
    for (const { key } of sessions.branches(root)) keys.add(key);
    return [...keys];
  }

  /** The Claude sessions of a conversation and its branches, and all that they ever had. */
  const claudeSessionsOf = (keys: readonly string[]) => {
    const current = keys.flatMap((key) => sessions.find(key)?.claudeSession ?? []);
    const past = keys.flatMap((key) => sessions.pastSessions(key).map(({ claudeSession }) => claudeSession));
    return { current, all: new Set([...current, ...past]) };
  };

  /** Runs steps of one conversation one after the other. */
  function inOrder<T>(held: Held, step: () => Promise<T>): Promise<T> {
    const result = held.step.then(step, step);
    held.step = result.catch(() => {});
    return result;
  }

  async function open(held: Held): Promise<Owner | null> {
    const result = await claim(postgres, held.root, lease().id).catch((error) => {
      unsure.add(held.root);
      throw error;
    });
    unsure.delete(held.root);
    if ("owner" in result) return result.owner;
    held.claim = result.claim;
    try {
      await load(held);
    } catch (error) {
      // Another node may have more luck.
      unload(held);
      await release(postgres, held.claim).catch(() => unsure.add(held.root));
      throw error;
    }
    log.info("conversation claimed", { session: held.root, epoch: held.claim.epoch });
    return null;
  }

  /** Reads what Postgres has of a conversation that was claimed. */
  async function load(held: Held): Promise<void> {
    const rows = await loadRows(postgres, held.root);
    for (const { key } of rows.sessions ?? []) held.keys.add(String(key));
    const keys = [...held.keys];
    changes.load(keys, rows);
    // Turns that an earlier owner did not finish.
    closeUnfinished(store.database, clock.wallTime(), keys);
    const { current, all: known } = claudeSessionsOf(keysOf(held));
    held.claudeSessions = known;
    for (const claudeSession of current) {
      const pieces = await loadPieces(postgres, claudeSession);
      if (pieces.length > 0) await files.restore(claudeSession, pieces);
    }
  }

  /** Forgets what this node has of a conversation. Its files stay. */
  function unload(held: Held): void {
    changes.load(keysOf(held), {});
    for (const claudeSession of held.claudeSessions) files.forget(claudeSession);
  }

  async function write(held: Held, withFiles: boolean): Promise<void> {
    if (all.get(held.root) !== held) throw moved();
    deps.flush();
    const keys = keysOf(held);
    const set = changes.of(keys);
    const { current, all: left } = claudeSessionsOf(keys);
    const fileChanges = withFiles ? await files.changes(current) : null;
    const removed = [...held.claudeSessions].filter((claudeSession) => !left.has(claudeSession));
    // Also when nothing has changed, because it proves that the claim holds.
    if (!(await commitUnder(held, set, fileChanges ?? NO_FILES, removed))) {
      refusals += 1;
      log.error("commit refused: another node has the conversation", { session: held.root });
      abandon(held, moved());
      throw moved();
    }
    changes.forget(keys, set);
    if (fileChanges) files.noteStored(fileChanges);
    for (const claudeSession of removed) files.forget(claudeSession);
    held.claudeSessions = left;
  }

  /** @returns false when the claim no longer holds */
  async function commitUnder(held: Held, set: ChangeSet, files: FileChanges, removed: readonly string[]) {
    for (;;) {
      const known = held.claim;
      const next = await commit(postgres, known, set, files, removed);
      const current = next ?? (await findClaim(postgres, known));
      if (current === null || (next === null && current.seq === known.seq)) return false;
      held.claim = current;
      if (next) return true;
      // An earlier commit has arrived although its answer did not. This one has all of it.
    }
  }

  /** Nothing of it is committed any more. */
  function abandon(held: Held, error: RequestError): void {
    if (all.get(held.root) !== held) return;
    all.delete(held.root);
    void deps.abandon(held.root, error).then(() => {
      // It may have been claimed again.
      if (!all.has(held.root)) unload(held);
    });
  }

  const rests = (held: Held): boolean => held.visits === 0 && !deps.isInMemory(held.root);

  async function giveBack(held: Held): Promise<void> {
    if (!rests(held) || all.get(held.root) !== held) return;
    held.isOpen = false;
    try {
      await write(held, true);
      await release(postgres, held.claim);
      all.delete(held.root);
      unload(held);
      log.info("conversation given back", { session: held.root });
    } catch (error) {
      // The next sweep tries again.
      log.warning("conversation not given back: {error}", { session: held.root, error });
    } finally {
      held.isOpen = true;
    }
  }

  const find = (root: string): Held => {
    const held = all.get(root);
    if (!held) throw moved();
    return held;
  };

  async function enter(root: string): Promise<Visit | Owner> {
    for (;;) {
      const known = all.get(root);
      if (known?.isOpen) {
        known.visits += 1;
        let isHere = true;
        return {
          leave: () => {
            if (isHere) known.visits -= 1;
            isHere = false;
            if (rests(known)) void inOrder(known, () => giveBack(known));
          },
        };
      }
      if (known) {
        await known.step;
        continue;
      }
      const held: Held = {
        root,
        keys: new Set([root]),
        claim: { key: root, node: "", epoch: 0, seq: 0 },
        visits: 0,
        isOpen: false,
        step: Promise.resolve(),
        claudeSessions: new Set(),
      };
      all.set(root, held);
      let isOpened = false;
      try {
        const owner = await inOrder(held, () => open(held));
        if (owner) return owner;
        // The lease may have ended meanwhile.
        if (all.get(root) !== held) throw moved();
        isOpened = true;
        held.isOpen = true;
      } finally {
        if (!isOpened && all.get(root) === held) all.delete(root);
      }
    }
  }

  /** Finds out whether this node has claimed a conversation, and gives it back. */
  async function settle(root: string): Promise<void> {
    try {
      const entered = await enter(root);
      if ("leave" in entered) entered.leave();
    } catch (error) {
      // The next sweep tries again.
      log.warning("it is not known which node has a conversation: {error}", { session: root, error });
    }
  }

  return {
    enter,
    has: (root) => all.get(root)?.isOpen === true,
    get count() {
      return all.size;
    },
    noteRest: (root) => {
      const held = all.get(root);
      if (held && rests(held)) void inOrder(held, () => giveBack(held));
    },
    commitRows: (root) => inOrder(find(root), () => write(find(root), false)),
    commitAll: async (root) => {
      const held = find(root);
      for (;;) {
        try {
          return await inOrder(held, () => write(held, true));
        } catch (error) {
          const isAway = error instanceof RequestError && error.code === "database_unavailable";
          if (!isAway || !lease().isGood || all.get(root) !== held) throw error;
          await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
        }
      }
    },
    sweep: async () => {
      for (const root of [...unsure]) await settle(root);
      deps.flush();
      const changed = new Set(changes.keys);
      const mine = new Set([...all.values()].flatMap(keysOf));
      // The others are of chats that no other node ever has, such as single requests.
      changes.forget(
        [...changed].filter((key) => !mine.has(key)),
        { last: Number.MAX_SAFE_INTEGER },
      );
      await Promise.all(
        [...all.values()].map(async (held) => {
          if (!held.isOpen) return;
          if (rests(held)) await inOrder(held, () => giveBack(held));
          else if (keysOf(held).some((key) => changed.has(key))) {
            await inOrder(held, () => write(held, true)).catch((error) =>
              log.warning("conversation not committed: {error}", { session: held.root, error }),
            );
          }
        }),
      );
    },
    abandonAll: (error) => {
      for (const held of [...all.values()]) abandon(held, error);
    },
    get refusals() {
      return refusals;
    },
  };
}
