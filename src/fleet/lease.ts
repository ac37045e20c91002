/**
 * The lease of this node: while it holds, no other node may take its conversations. Postgres alone decides when it has
 * ended, by its own clock. This node counts from before it asked, by its monotonic clock, so it always believes less.
 */
import { getLogger } from "@logtape/logtape";
import { and, eq, sql } from "drizzle-orm";
import type { Clock } from "../core/clock.ts";
import type { Postgres } from "../store/postgres/connect.ts";
import { nodes } from "../store/postgres/tables.ts";

const log = getLogger(["synthesis", "fleet"]);

/** What a node reports to the others about itself. */
interface NodeLoad {
  readonly used: number;
  readonly waiting: number;
  readonly typicalTurnMs: number;
}

export interface LeaseOptions {
  readonly postgres: Postgres;
  readonly clock: Clock;
  readonly name: string;
  /** Where other nodes reach this one. */
  readonly url: string;
  readonly version: string;
  readonly leaseMs: number;
  /** How many processes the node may run. */
  readonly places: number;
  readonly load: () => NodeLoad;
  /** The lease was renewed. @param until when its claude processes must have ended without another renewal, in ms of the clock */
  readonly onRenewed: (until: number) => void;
  /** What is to be done each time after that, but not at the start. */
  readonly afterRenewal: () => void;
  /** The lease is nearly over: the processes must end. It may still be renewed. */
  readonly onLate: () => void;
  /** Another node has ended the lease, and may have taken any conversation. The lease begins again under another id. */
  readonly onEvicted: () => void;
}

export interface Lease {
  /** New with each registration. */
  readonly id: string;
  /** Whether the processes may run: the lease was renewed a short time ago. */
  readonly isGood: boolean;
  /** What is left of it without another renewal, in ms. */
  readonly leftMs: number;
  /** The node was asked to take no more conversations. */
  readonly isDraining: boolean;
  /** Asks to be given no more conversations. */
  drain(): Promise<void>;
  /** Ends the lease: other nodes take what it still has. */
  end(): Promise<void>;
}

/** A lease is renewed this often, and the processes end this long after the last renewal, as parts of the lease. */
const RENEWAL = 1 / 12;
const PROCESSES = 2 / 3;

/** @throws RequestError (`database_unavailable`) */
export async function startLease(options: LeaseOptions): Promise<Lease> {
  const { postgres, clock, name, url, version, leaseMs, load, onRenewed, onLate, onEvicted } = options;
  const until = sql`now() + make_interval(secs => ${leaseMs / 1000})`;
  /** A renewal that takes longer would overlap with the next but one. */
  const deadlineMs = Math.max(500, leaseMs * RENEWAL * 2);
  let id = crypto.randomUUID();
  let processesUntil = Number.NEGATIVE_INFINITY;
  /** As the last renewal read it: an operator drains a node, and lets it take conversations again. */
  let isDrained = false;
  /** The node itself has asked for it, for good. */
  let isLeaving = false;
  let isEnding = false;
  /** Never rejects. */
  let renewing: Promise<void> = Promise.resolve();
  let cancelRenewal = () => {};
  let cancelLate = () => {};

  const noteRenewal = (askedAt: number) => {
    const until = askedAt + leaseMs * PROCESSES;
    // First, since it may fail, for example on a full disk: then the processes end although the lease was renewed.
    onRenewed(until);
    processesUntil = until;
    cancelLate();
    cancelLate = clock.after(processesUntil - clock.now(), () => {
      log.error("the lease is nearly over, so all claude processes end");
      onLate();
    });
  };

  async function register(): Promise<void> {
    const askedAt = clock.now();
    const none = { used: 0, waiting: 0, typicalTurnMs: 0 };
    const row = {
      id,
      name,
      url,
      version,
      draining: isDrained || isLeaving,
      leaseUntil: until,
      places: options.places,
      ...none,
    };
    // Nothing runs yet that must end in time.
    await postgres.run((database) => database.insert(nodes).values(row));
    noteRenewal(askedAt);
  }

  async function renew(): Promise<void> {
    const askedAt = clock.now();
    const renewed = await postgres.run(
      (database) =>
        database
          .update(nodes)
          .set({ leaseUntil: until, ...load() })
          .where(eq(nodes.id, id))
          .returning({ draining: nodes.draining }),
      deadlineMs,
    );
    const [row] = renewed;
    if (row) {
      isDrained = row.draining;
      noteRenewal(askedAt);
      options.afterRenewal();
      return;
    }
    if (isEnding) return;
    log.error("another node has ended the lease of this one");
    onEvicted();
    id = crypto.randomUUID();
    await register();
  }

  const renewLater = () => {
    if (isEnding) return;
    cancelRenewal = clock.after(leaseMs * RENEWAL, () => {
      renewing = renew()
        .catch((error) => log.warning("lease not renewed: {error}", { error }))
        .finally(renewLater);
    });
  };

  // The lock on the state folder is held, so an earlier server of this node has ended.
  await postgres.run((database) => database.delete(nodes).where(and(eq(nodes.name, name), eq(nodes.url, url))));
  await register();
  renewLater();

  return {
    get id() {
      return id;
    },
    get isGood() {
      return clock.now() < processesUntil;
    },
    get leftMs() {
      return Math.max(0, processesUntil + leaseMs * (1 - PROCESSES) - clock.now());
    },
    get isDraining() {
      return isDrained || isLeaving || isEnding;
    },
    drain: async () => {
      isLeaving = true;
      await postgres.run((database) => database.update(nodes).set({ draining: true }).where(eq(nodes.id, id)));
    },
    end: async () => {
      isEnding = true;
      cancelRenewal();
      // A renewal that is under way could begin another lease after this one has ended.
      await renewing;
      cancelLate();
      await postgres.run((database) => database.delete(nodes).where(eq(nodes.id, id)));
    },
  };
}
