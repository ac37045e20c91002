/** Stops the server on SIGTERM, SIGINT or SIGHUP, or when the package runner that started it exits. */
import { getLogger } from "@logtape/logtape";
import type { Pool } from "../claude/pool/pool.ts";
import type { Watchdog } from "../claude/pool/watchdog.ts";
import type { ConversationRegistry } from "../conversation/registry.ts";
import type { NodeParts } from "../http/app.ts";
import type { Listener } from "../http/listen.ts";
import type { SchemaChecker } from "../json-schema/checker.ts";
import type { Notifications } from "../notify/notifications.ts";
import type { OneShotQueue } from "../one-shot/queue.ts";
import type { PageAccess } from "../page-access/page-access.ts";
import type { Store } from "../store/database.ts";
import type { FiguresStore } from "../store/figures.ts";
import type { Lock } from "../store/lock.ts";
import type { TurnStore } from "../store/turns.ts";
import { type ParentLink, watchPackageRunner } from "./package-runner.ts";

const log = getLogger(["synthesis"]);

/** Ctrl-C under npx sends two signals at once, one from the terminal and one from npx. A person takes longer. */
const SAME_SIGNAL_MS = 500;
/** How long clients may take to read the end of their responses. */
const LAST_READ_MS = 1_000;

interface RunningParts {
  /** How long running turns and one-shots may take to finish. */
  readonly drainMs: number;
  readonly stopRetention: () => void;
  readonly stopUsageRecovery: () => void;
  readonly stopInstallationWatch: () => Promise<void>;
  readonly notifications: Pick<Notifications, "close">;
  readonly conversations: ConversationRegistry;
  readonly oneShots: OneShotQueue;
  readonly pool: Pool;
  readonly checker: SchemaChecker;
  readonly server: Listener;
  readonly pages: Pick<PageAccess, "close">;
  readonly turns: TurnStore;
  readonly figures: FiguresStore;
  readonly store: Store;
  readonly lock: Lock;
  readonly watchdog: Watchdog;
  /** Of a node of a fleet. */
  readonly node: Pick<NodeParts, "fleet" | "close"> | undefined;
}

/**
 * The first signal lets running turns finish. A second one kills every Claude process at once.
 * @param runner the processes of the package runner; the server also stops when one of them exits
 */
export function shutDownOnSignal(parts: RunningParts, runner: readonly ParentLink[]): void {
  let startedAt: number | null = null;

  const onSignal = () => {
    if (startedAt === null) {
      startedAt = performance.now();
      void shutDown(parts);
    } else if (performance.now() - startedAt >= SAME_SIGNAL_MS) {
      parts.pool.killAll();
      parts.oneShots.killAll();
      process.exit(1);
    }
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, onSignal);

  watchPackageRunner(runner, () => {
    // The runner exits on the same signal as the server. This must not count as a second signal.
    if (startedAt !== null) return;
    log.info("the package runner that started this server has exited");
    onSignal();
  });
}

async function shutDown(parts: RunningParts): Promise<void> {
  const { drainMs, conversations, oneShots, pool, server } = parts;
  parts.stopRetention();
  parts.stopUsageRecovery();
  log.info("shutting down");
  // Before its end, other nodes take the conversations that rest.
  await parts.node?.fleet
    .drain()
    .catch((error) => log.warning("the node is not marked as draining: {error}", { error }));
  await Promise.all([conversations.drain(drainMs), oneShots.drain(drainMs)]);
  await Promise.all([pool.stopAll(), parts.stopInstallationWatch(), parts.notifications.close()]);
  parts.checker.close();
  parts.pages.close();
  await Promise.race([server.stop(), Bun.sleep(LAST_READ_MS)]);
  parts.turns.flush();
  parts.figures.flush();
  await parts.node?.close();
  parts.store.close();
  parts.lock.release();
  parts.watchdog.dismiss();
  process.exit(0);
}
