/** Makes this server a node of a fleet. Only a server with SYNTHESIS_DATABASE loads this file, and with it Postgres. */
import { getLogger } from "@logtape/logtape";
import { version } from "../../package.json";
import type { Pool } from "../claude/pool/pool.ts";
import { ConfigError } from "../config/config-error.ts";
import { nodeListen, nodeName, nodeUrl } from "../config/node-address.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import type { ConversationRegistry } from "../conversation/registry.ts";
import { systemClock } from "../core/clock.ts";
import { RequestError } from "../core/errors.ts";
import type { MessageCounts } from "../core/message-counts.ts";
import { startFleet } from "../fleet/fleet.ts";
import { certificatesOf, keysDigest, readMembers } from "../fleet/members.ts";
import { NodeTrust } from "../fleet/trust.ts";
import { startLeaseWatchdog } from "../fleet/watchdog.ts";
import type { NodeParts } from "../http/app.ts";
import { createForward } from "../http/forward.ts";
import type { Store } from "../store/database.ts";
import type { FiguresStore } from "../store/figures.ts";
import { connect } from "../store/postgres/connect.ts";
import { commitRisks } from "../store/postgres/durability.ts";
import { migrateFleet } from "../store/postgres/migrate.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { TurnStore } from "../store/turns.ts";
import { Failure } from "./failure.ts";

const log = getLogger(["synthesis", "fleet"]);

interface NodeDeps {
  readonly config: Config;
  readonly paths: Paths;
  readonly chatKey: string;
  readonly controlKey: string;
  readonly store: Store;
  readonly sessions: SessionStore;
  readonly turns: TurnStore;
  readonly figures: FiguresStore;
  readonly pool: Pool;
  readonly conversations: () => ConversationRegistry;
  readonly messages: MessageCounts;
  readonly env: Record<string, string | undefined>;
  /** The command that kills this node's processes. */
  readonly sweep: readonly string[];
}

/**
 * @throws ConfigError when this machine is no member of the fleet
 * @throws Failure when the database cannot be used
 */
export async function startNode(deps: NodeDeps): Promise<NodeParts> {
  const { config, paths, controlKey, pool, conversations } = deps;
  const { database = "", leaseMs } = config;
  const listen = nodeListen(config);
  const url = nodeUrl(config);
  const name = nodeName(config);
  const postgres = connect(database);
  try {
    await migrateFleet(postgres);
    const risks = await commitRisks(postgres);
    if (risks.length > 0) {
      log.warning(
        "Postgres may take back what it has acknowledged, and then two nodes can have one conversation: {risks}. See docs/fleet.md",
        { risks: risks.join(", ") },
      );
    }
    const members = await readMembers(postgres);
    const member = members.find((one) => one.name === name);
    if (!member)
      throw new ConfigError(`${name} is no member of the fleet. Run \`synthesis nodes join\` on this machine.`);
    if (member.keys !== keysDigest(deps.chatKey, controlKey)) throw new ConfigError(OTHER_KEYS);
    const endOnce = endsThisServer(name);
    const trust = new NodeTrust(paths, url, certificatesOf(members));
    const watchdog = startLeaseWatchdog(paths.lease, deps.sweep);
    const fleet = await startFleet({
      ...deps,
      postgres,
      attachments: paths.attachments,
      name,
      url,
      version,
      leaseMs,
      places: config.maxProcesses,
      load: () => ({
        used: pool.size,
        waiting: conversations().load.waiting,
        typicalTurnMs: Math.round(conversations().typicalTurnMs),
      }),
      hasRoom: () => pool.hasRoom,
      isInMemory: (root) => conversations().isInMemory(root),
      abandon: (root, error) => conversations().abandon(root, error),
      killAll: () => pool.killProcesses(),
      stopIdle: () => pool.stopIdle(),
      onRenewed: (until) => watchdog.renew(until - systemClock.now()),
      readMembers: async () => {
        const current = await readMembers(postgres);
        trust.update(certificatesOf(current));
        if (current.some((one) => one.name === name)) return;
        // `nodes evict --forget` has removed it: no other node would answer it, or send it anything.
        endOnce();
      },
    }).catch((error) => {
      watchdog.stop();
      throw error;
    });
    const close = async () => {
      await fleet.close();
      watchdog.stop();
    };
    return { fleet, close, trust, forward: createForward({ ...deps, trust }), listen };
  } catch (error) {
    await postgres.close();
    if (!(error instanceof RequestError)) throw error;
    // Unlike a wrong setting, this may end by itself, and a service then starts the server again.
    throw new Failure(`${error.message} SYNTHESIS_DATABASE names it; its user must be able to create tables.`);
  }
}

/** @returns ends the server as SIGTERM does; a second signal would not let its turns finish, so later calls do nothing */
function endsThisServer(name: string): () => void {
  let hasEnded = false;
  return () => {
    if (hasEnded) return;
    hasEnded = true;
    log.error("{name} is no member of the fleet any more, so this server ends", { name });
    process.kill(process.pid, "SIGTERM");
  };
}

const OTHER_KEYS =
  "This machine has other keys than the rest of the fleet. Copy chat.key, keys.json and control.key from the state folder " +
  "of another node, and set SYNTHESIS_API_KEY to the same value if it is set there.";
