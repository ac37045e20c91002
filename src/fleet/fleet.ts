/**
 * A node of a fleet: a server that shares its conversations with others through Postgres. Each conversation is on one
 * node at a time. The node's own database is in memory, and has the conversations that the node has now.
 */
import { getLogger } from "@logtape/logtape";
import { projectsFolder } from "../claude/config-folder.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { RequestError, shuttingDown } from "../core/errors.ts";
import type { Store } from "../store/database.ts";
import type { SessionRow } from "../store/schema.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { TurnStore } from "../store/turns.ts";
import { forgetCalls, nodeOfCalls, recordCalls } from "./calls.ts";
import { findOwner, type Owner } from "./claims.ts";
import { deleteExpired } from "./expired.ts";
import { createHeldConversations, type Visit } from "./held.ts";
import { type LeaseOptions, startLease } from "./lease.ts";
import {
  keyOfTurn,
  keyWithAffinity,
  type OtherConversation,
  otherConversations,
  restingSessions,
  rootOf,
} from "./lookup.ts";
import { type LiveNode, liveNodes } from "./nodes.ts";
import { createSessionFiles } from "./session-files.ts";
import { whenAnswerIsWritten } from "./transcript-end.ts";
import { createFleetUsage, type FleetUsage } from "./usage.ts";

const log = getLogger(["synthesis", "fleet"]);

/** Another node, to which a request is sent on. */
interface OtherNode {
  readonly name: string;
  readonly url: string;
  /** How much is left of its lease, as far as this node knows now, in ms. */
  readonly leaseLeftMs: () => number;
}

export interface Fleet {
  /**
   * Finds the node for a request about a conversation, which claims the conversation if no node has it.
   * @param root the key of the conversation, of which branches are a part
   * @param isForwarded another node has sent the request here, so it is not sent on again
   * @returns a visit when it is this node; the conversation stays here at least until the visit ends
   * @throws RequestError (`not_owner`) for a forwarded request about a conversation of another node
   * @throws RequestError (`database_unavailable`, `shutting_down`)
   */
  place(root: string, isForwarded: boolean): Promise<Visit | OtherNode>;
  /** The key of the conversation that last used an affinity id, from Postgres. */
  keyWithAffinity(id: string): Promise<string | undefined>;
  /** The conversation, without its branches, to which a turn belongs. */
  rootOfTurn(turn: string): Promise<string | undefined>;
  /** The conversation to which a branch belongs, or the key itself; undefined for a key that is unknown. */
  rootOf(key: string): Promise<string | undefined>;
  /** The other node on which one of these calls of a client's tools waits for its result; null if none does. */
  nodeOfCalls(ids: readonly string[]): Promise<OtherNode | null>;
  /** The other node has taken the results of these calls. Never rejects. */
  forgetCalls(ids: readonly string[]): Promise<void>;
  /** Records that calls of a client's tools wait on this node. @throws RequestError (`database_unavailable`) */
  recordCalls(ids: readonly string[]): Promise<void>;
  /** The conversations that no node has. */
  resting(): Promise<readonly SessionRow[]>;
  /**
   * Deletes conversations that no node has, without a message since `before`, in Unix ms, and records that ended before.
   * @returns how many conversations
   */
  deleteExpired(before: number): Promise<number>;
  /** The other nodes whose leases hold. */
  others(): Promise<readonly OtherNode[]>;
  readonly usageOfOthers: FleetUsage["ofOthers"];
  /** All nodes, as they were when they were last read. */
  readonly nodes: readonly LiveNode[];
  /** The latest conversations of other nodes, and those of none, as they were when they were last read. */
  readonly otherConversations: readonly OtherConversation[];
  /**
   * Resolves when an answer is recorded in Postgres with all that belongs to it, so that it outlives this node.
   * @param transcript of the Claude session; null if the answer is not complete yet
   * @throws RequestError when another node has the conversation, or Postgres stays away until the lease ends
   */
  recordAnswer(root: string, transcript: string | null): Promise<void>;
  /** Commits what has changed, such as the turn of a message that is about to be sent. @throws RequestError as above */
  recordChanges(root: string): Promise<void>;
  /** Notes that a conversation has no process and no request. */
  noteRest(root: string): void;
  /** How long a message would wait on the node that is free first, in s, as it was when the nodes were read; null before. */
  readonly shortestWait: number | null;
  /** Why this node takes no new conversation; null when it does. */
  unavailability(): RequestError | null;
  /** How many conversations it has, and how many commits were refused because another node had the conversation. */
  readonly counts: { readonly held: number; readonly refused: number };
  /** What is left of its lease, in ms. */
  readonly leaseLeftMs: number;
  /** Takes no more conversations. */
  drain(): Promise<void>;
  /** Gives everything back and ends the lease. */
  close(): Promise<void>;
}

interface FleetDeps
  extends Pick<LeaseOptions, "postgres" | "name" | "url" | "version" | "leaseMs" | "places" | "load" | "onRenewed"> {
  readonly store: Pick<Store, "database">;
  readonly sessions: SessionStore;
  readonly turns: Pick<TurnStore, "flush">;
  readonly figures: { flush(): void };
  readonly attachments: string;
  readonly env: Record<string, string | undefined>;
  /** Whether a conversation that has no process here would get one. */
  readonly hasRoom: () => boolean;
  /** Whether a conversation, or a branch of it, has a process or serves a request. */
  readonly isInMemory: (root: string) => boolean;
  /** Stops idle processes, so that their conversations come to rest. */
  readonly stopIdle: () => void;
  /** Ends all of a conversation at once. */
  readonly abandon: (root: string, error: RequestError) => Promise<void>;
  /** Kills all claude processes at once. */
  readonly killAll: () => void;
  /** Reads which machines are members of the fleet. */
  readonly readMembers: () => Promise<void>;
  readonly clock?: Clock;
}

/** A page shows this many conversations. */
const SHOWN = 500;
/** The nodes are read again at the latest after this part of the lease, while anything needs them. */
const NODES_AGE = 1 / 6;

/** @throws RequestError (`database_unavailable`) */
export async function startFleet(deps: FleetDeps): Promise<Fleet> {
  const { postgres, store, sessions, env, leaseMs, clock = systemClock } = deps;
  const files = createSessionFiles({ projects: projectsFolder(env), attachments: deps.attachments }, env);
  const held = createHeldConversations({
    postgres,
    store,
    sessions,
    files,
    lease: () => lease,
    flush: () => {
      deps.turns.flush();
      deps.figures.flush();
    },
    isInMemory: deps.isInMemory,
    abandon: deps.abandon,
    clock,
  });
  const usage = createFleetUsage(store, postgres);
  let nodes: readonly LiveNode[] = [];
  let nodesAt = Number.NEGATIVE_INFINITY;
  /** Until when the leases of other nodes are watched, since requests are there. */
  let watchUntil = Number.NEGATIVE_INFINITY;
  let others: readonly OtherConversation[] = [];
  /** Until when a page shows the conversations of other nodes. */
  let shownUntil = Number.NEGATIVE_INFINITY;
  let sweeping: Promise<void> | null = null;

  async function readNodes(): Promise<readonly LiveNode[]> {
    if (clock.now() - nodesAt > leaseMs * NODES_AGE) {
      const at = clock.now();
      nodes = await liveNodes(postgres);
      nodesAt = at;
    }
    return nodes;
  }

  function flushUsage(): Promise<void> {
    deps.turns.flush();
    return usage.flush();
  }

  /** Runs after each renewal. */
  function sweep(): Promise<void> {
    sweeping ??= (async () => {
      try {
        if (lease.isDraining) deps.stopIdle();
        await held.sweep();
        await flushUsage();
        if (clock.now() < watchUntil) await readNodes();
        if (clock.now() < shownUntil) others = await otherConversations(postgres, lease.id, SHOWN);
      } catch (error) {
        log.warning("the fleet could not be swept: {error}", { error });
      } finally {
        sweeping = null;
      }
    })();
    return sweeping;
  }

  /** A sweep may take long, and a member that rotates its certificate waits for the renewals of all nodes. */
  const readMembers = () =>
    deps.readMembers().catch((error) => log.warning("the members could not be read: {error}", { error }));

  const otherNode = ({ id, name, url, leaseLeftMs }: Owner | LiveNode): OtherNode => {
    const knownAt = clock.now();
    watchUntil = knownAt + leaseMs * 2;
    return {
      name,
      url,
      leaseLeftMs: () => {
        watchUntil = clock.now() + leaseMs * 2;
        const seen = nodes.find((node) => node.id === id);
        const [left, at] = seen && nodesAt > knownAt ? [seen.leaseLeftMs, nodesAt] : [leaseLeftMs, knownAt];
        return left - (clock.now() - at);
      },
    };
  };

  /** The least used of the other nodes that has room; null when all are full. */
  async function nodeWithRoom(): Promise<OtherNode | null> {
    const free = (await readNodes()).find(
      ({ id, isDraining, used, places }) => id !== lease.id && !isDraining && used < places,
    );
    return free ? otherNode(free) : null;
  }

  const lease = await startLease({
    ...deps,
    clock,
    afterRenewal: () => {
      void readMembers();
      void sweep();
    },
    onLate: deps.killAll,
    onEvicted: () => {
      deps.killAll();
      held.abandonAll(
        new RequestError(
          "conversation_moved",
          "This node was cut off, and its conversations moved. Send the message again.",
          {
            retryAfter: 1,
          },
        ),
      );
    },
  });

  const cutOff = () =>
    new RequestError(
      "database_unavailable",
      "This node does not reach the database of its fleet, so it serves no conversation now. Try again later.",
      { retryAfter: Math.ceil(leaseMs / 12_000) },
    );

  return {
    place: async (root, isForwarded) => {
      if (!lease.isGood) throw cutOff();
      if (!held.has(root) && !isForwarded && (lease.isDraining || !deps.hasRoom())) {
        const owner = await findOwner(postgres, root);
        if (owner && owner.id !== lease.id) return otherNode(owner);
        const other = owner ? null : await nodeWithRoom();
        if (other) return other;
      }
      if (lease.isDraining && !held.has(root)) throw shuttingDown();
      const entered = await held.enter(root);
      if ("leave" in entered) return entered;
      if (!isForwarded) return otherNode(entered);
      throw new RequestError("not_owner", `The node ${entered.name} has this conversation.`);
    },
    keyWithAffinity: (id) => keyWithAffinity(postgres, id),
    rootOfTurn: async (turn) => {
      const key = await keyOfTurn(postgres, turn);
      return key === undefined ? undefined : rootOf(postgres, key);
    },
    rootOf: (key) => {
      const branch = sessions.find(key);
      return branch ? Promise.resolve(branch.branchOf ?? key) : rootOf(postgres, key);
    },
    nodeOfCalls: async (ids) => {
      const node = await nodeOfCalls(postgres, ids);
      if (node?.id === lease.id) await forgetCalls(postgres, ids);
      return node === null || node.id === lease.id ? null : otherNode(node);
    },
    forgetCalls: (ids) =>
      forgetCalls(postgres, ids).catch((error) => log.warning("calls were not forgotten: {error}", { error })),
    recordCalls: (ids) => recordCalls(postgres, lease.id, ids),
    resting: () => restingSessions(postgres),
    deleteExpired: (before) => deleteExpired(postgres, before),
    usageOfOthers: usage.ofOthers,
    others: async () => (await readNodes()).filter(({ id }) => id !== lease.id).map(otherNode),
    get nodes() {
      watchUntil = clock.now() + leaseMs * 2;
      return nodes;
    },
    get otherConversations() {
      shownUntil = clock.now() + leaseMs * 2;
      return others;
    },
    recordAnswer: async (root, transcript) => {
      await whenAnswerIsWritten(transcript, clock);
      await held.commitAll(root);
    },
    recordChanges: (root) => held.commitRows(root),
    noteRest: held.noteRest,
    get shortestWait() {
      const waits = nodes
        .filter(({ isDraining }) => !isDraining)
        .map(({ waiting, typicalTurnMs, places }) => ((waiting + 1) * typicalTurnMs) / places / 1_000);
      return waits.length === 0 ? null : Math.max(1, Math.ceil(Math.min(...waits)));
    },
    unavailability: () => (lease.isDraining ? shuttingDown() : lease.isGood ? null : cutOff()),
    get counts() {
      return { held: held.count, refused: held.refusals };
    },
    get leaseLeftMs() {
      return lease.leftMs;
    },
    drain: async () => {
      await lease.drain();
      deps.stopIdle();
    },
    close: async () => {
      try {
        await sweeping;
        await held.sweep();
        await flushUsage();
        await lease.end();
      } catch (error) {
        // The other nodes take what is left when the lease ends.
        log.warning("the lease was not ended: {error}", { error });
      }
      await postgres.close();
    },
  };
}
