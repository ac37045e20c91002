/** How a machine becomes a member of the fleet, and replaces its certificate while the fleet runs. */
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { sql } from "drizzle-orm";
import { ConfigError } from "../config/config-error.ts";
import type { Paths } from "../config/paths.ts";
import type { Clock } from "../core/clock.ts";
import type { Postgres } from "../store/postgres/connect.ts";
import { nodes } from "../store/postgres/tables.ts";
import { createIdentity, readIdentity, writeIdentity } from "./certificate.ts";
import { addMember, changeMember, type Member, readMembers } from "./members.ts";
import { isLive } from "./nodes.ts";

export interface Joining {
  readonly postgres: Postgres;
  readonly paths: Paths;
  readonly clock: Clock;
  readonly name: string;
  /** How other nodes reach this one. */
  readonly url: string;
  /** `keysDigest` of this machine's keys. */
  readonly keys: string;
  /** How long the lease of a node lasts. */
  readonly leaseMs: number;
}

/**
 * Makes this machine a member: creates its certificate if it has none, and publishes it. A machine that is one already
 * may have another URL now, or may complete a rotation that was broken off.
 * @throws ConfigError when its keys are not those of the fleet, or its name is another machine's
 * @throws RequestError (`database_unavailable`)
 */
export async function joinFleet(joining: Joining): Promise<void> {
  const { postgres, paths, name, url, keys } = joining;
  const member = await findOwnMember(joining);
  if (!member) {
    const hasIdentity = existsSync(paths.nodeKey) && existsSync(paths.nodeCertificate);
    if (!hasIdentity) writeIdentity(paths, await createIdentity(name, url));
    const { certificate } = readIdentity(paths, url);
    return addMember(postgres, { name, url, certificate, keys, joinedAt: Date.now() });
  }
  const { certificate } = readIdentity(paths, url);
  if (member.certificate !== certificate) await waitForOwnRenewals(joining);
  await changeMember(postgres, name, { url, certificate, nextCertificate: null, keys });
}

/**
 * Replaces this machine's certificate. All nodes trust both until this machine uses the new one, so that no request
 * between nodes fails.
 * @throws ConfigError as `joinFleet` does, or when a node has a lease and does not renew it
 * @throws RequestError (`database_unavailable`)
 */
export async function rotateCertificate(joining: Joining): Promise<void> {
  const { postgres, paths, name, url, keys } = joining;
  const member = await findOwnMember(joining);
  const next = await createIdentity(name, url);
  if (!member) {
    writeIdentity(paths, next);
    return addMember(postgres, { name, url, certificate: next.certificate, keys, joinedAt: Date.now() });
  }
  // The machine may have been stopped in the middle of an earlier rotation, and use the certificate that was next then.
  const current = readFileSync(paths.nodeCertificate, "utf8");
  await changeMember(postgres, name, { certificate: current, nextCertificate: next.certificate });
  if (!(await haveRenewed(joining, () => true))) {
    throw new ConfigError(
      `A node does not renew its lease, so it may not know the new certificate. ${SEE_NODES} Nothing was replaced; run ` +
        "the command again when all of them are live.",
    );
  }
  writeIdentity(paths, next);
  await waitForOwnRenewals(joining);
  await changeMember(postgres, name, { url, certificate: next.certificate, nextCertificate: null, keys });
}

/**
 * The member that this machine is; null when no member has its name.
 * @throws ConfigError when the machine may not be it, or has other keys than the fleet
 */
async function findOwnMember({ postgres, paths, name, keys }: Joining): Promise<Member | null> {
  const all = await readMembers(postgres);
  const own = all.find((one) => one.name === name);
  if (own && !usesOneOf(paths, [own.certificate, own.nextCertificate])) {
    throw new ConfigError(
      `${name} is a member already, at ${own.url}, with a certificate that this machine does not have. Set another ` +
        `SYNTHESIS_NODE_NAME; or if this machine takes its place, run \`synthesis nodes evict ${name} --forget\` first.`,
    );
  }
  const others = all.filter((one) => one.name !== name);
  // The keys of a fleet are changed while no node runs, on one member after the other.
  const leases = own ? new Set([...(await readLeases(postgres)).values()].map((lease) => lease.name)) : null;
  const relevant = others.filter((one) => leases?.has(one.name) ?? true);
  if (relevant.length === 0 || relevant.some((one) => one.keys === keys)) return own ?? null;
  throw new ConfigError(
    "This machine has other keys than the fleet, so that clients could not use both. Copy chat.key, keys.json and " +
      `control.key from ${relevant[0]?.name} to ${paths.home}.`,
  );
}

function usesOneOf({ nodeCertificate }: Paths, published: readonly (string | null)[]): boolean {
  if (!existsSync(nodeCertificate)) return false;
  return published.includes(readFileSync(nodeCertificate, "utf8"));
}

const SEE_NODES = "`synthesis nodes list` shows the nodes.";

/** The old certificate must be trusted until the server of this machine, if it runs, has taken over the new one. */
async function waitForOwnRenewals(joining: Joining): Promise<void> {
  if (await haveRenewed(joining, (name) => name === joining.name)) return;
  throw new ConfigError(
    `The server of this machine does not renew its lease, so it may not use the new certificate yet. ${SEE_NODES} Run ` +
      "`synthesis nodes join` when it is live, or has ended: this completes the rotation.",
  );
}

/** A renewal that was under way may have read the members before they were changed. */
const RENEWALS = 2;
/** Nodes renew about a twelfth of the lease apart. */
const POLLS = 24;

/**
 * Waits until nodes have read the members: they do so with each renewal of their lease.
 * @param isMeant whether to wait for a node
 * @returns false when one of them has a lease, but does not renew it
 */
async function haveRenewed(
  { postgres, clock, leaseMs }: Joining,
  isMeant: (name: string) => boolean,
): Promise<boolean> {
  const current = async () => {
    const leases = await readLeases(postgres);
    return new Map([...leases].filter(([, { name }]) => isMeant(name)).map(([id, { until }]) => [id, until]));
  };
  const deadline = clock.now() + leaseMs * 2;
  const seen = new Map([...(await current())].map(([id, until]) => [id, { until, renewals: 0 }]));
  while (seen.size > 0) {
    if (clock.now() > deadline) return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    clock.after(leaseMs / POLLS, resolve);
    await promise;
    const now = await current();
    for (const [id, lease] of seen) {
      const until = now.get(id);
      if (until !== undefined && until !== lease.until) {
        lease.until = until;
        lease.renewals += 1;
      }
      // A node without a lease has ended, and reads the members when it starts.
      if (until === undefined || lease.renewals >= RENEWALS) seen.delete(id);
    }
  }
  return true;
}

/** The leases that have not ended, by the ids of their nodes. */
async function readLeases(postgres: Postgres): Promise<Map<string, { readonly name: string; readonly until: string }>> {
  const rows = await postgres.run((database) =>
    database
      .select({ id: nodes.id, name: nodes.name, until: sql<string>`${nodes.leaseUntil}::text` })
      .from(nodes)
      .where(isLive),
  );
  return new Map(rows.map(({ id, ...lease }) => [id, lease]));
}

/** When the certificate of this machine ends, as Unix time in ms. */
export const certificateEnd = ({ nodeCertificate }: Paths): number =>
  new X509Certificate(readFileSync(nodeCertificate)).validToDate.getTime();
