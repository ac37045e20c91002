/**
 * `synthesis serve`, the composition root: it creates every part of the server, each after the parts that it needs, and
 * says what stops them. Read this file first.
 */
import { getLogger } from "@logtape/logtape";
import { Command } from "commander";
import { createEngines } from "../claude/engines.ts";
import { watchInstallation } from "../claude/installation-watch.ts";
import { Login } from "../claude/login.ts";
import { readManagedSettings } from "../claude/managed-settings.ts";
import { createLauncher } from "../claude/pool/launcher.ts";
import { killOrphans } from "../claude/pool/orphans.ts";
import { createPool } from "../claude/pool/pool.ts";
import { startWatchdog } from "../claude/pool/watchdog.ts";
import { namesEngine } from "../config/agent-settings.ts";
import { loadChatKey, loadControlKey, loadMetricsKey } from "../config/keys.ts";
import { loadConfig } from "../config/load.ts";
import { pathsFor } from "../config/paths.ts";
import { createRunningConfig } from "../config/running-config.ts";
import type { Config } from "../config/schema.ts";
import { prepareStateFolder, prepareWorkspace } from "../config/state-folder.ts";
import { createAttachmentStore } from "../conversation/attachment-store.ts";
import { likelyLaunches } from "../conversation/launch-choice.ts";
import { type ConversationRegistry, createConversationRegistry } from "../conversation/registry.ts";
import { startRetention } from "../conversation/retention.ts";
import { SessionCosts } from "../conversation/session-costs.ts";
import { startUsageRecovery } from "../conversation/usage-recovery.ts";
import { systemClock } from "../core/clock.ts";
import { MessageCounts } from "../core/message-counts.ts";
import { recordedTurns } from "../fleet/recorded-turns.ts";
import { Callers } from "../http/callers.ts";
import { listen } from "../http/listen.ts";
import { SchemaChecker } from "../json-schema/checker.ts";
import { AccountLimits } from "../limits/account.ts";
import { Rejections } from "../limits/rejections.ts";
import { LiveFeed } from "../live/feed.ts";
import { LimitsHistory } from "../live/limits-history.ts";
import { RecentErrors } from "../live/recent-errors.ts";
import { Snapshot } from "../live/snapshot.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { startNotifications } from "../notify/notifications.ts";
import { createOneShotQueue } from "../one-shot/queue.ts";
import { PageAccess } from "../page-access/page-access.ts";
import { createPermissionBroker } from "../permissions/broker.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";
import { openMemoryStore, openStore } from "../store/database.ts";
import { createFiguresStore } from "../store/figures.ts";
import { createPermissionLog } from "../store/permissions.ts";
import { createRetention } from "../store/retention.ts";
import { createSessionStore } from "../store/sessions.ts";
import { createTurnStore } from "../store/turns.ts";
import { createUsageSums } from "../store/usage.ts";
import { configureLog } from "./log.ts";
import { openPort } from "./open-port.ts";
import { addSettings } from "./options.ts";
import { packageRunner } from "./package-runner.ts";
import { shutDownOnSignal } from "./shutdown.ts";
import { printStartupReport } from "./startup-report.ts";
import { lockStateFolder } from "./state-folder-lock.ts";
import { thisProgram } from "./this-program.ts";

export const serveCommand = (): Command =>
  addSettings(new Command("serve").description("run the server (the default command)")).action(serve);

/** @param flags the settings given on the command line */
async function serve({ home, ...flags }: { home?: string }): Promise<void> {
  // This comes first: a package runner that exits before it is looked up can no longer be found.
  const runner = packageRunner(process.pid, process.env);
  const { env } = process;
  const program = thisProgram();

  // Configuration.
  const paths = pathsFor(home ?? env.SYNTHESIS_HOME);
  prepareStateFolder(paths);
  const managed = readManagedSettings(PLUGIN_NAME);
  const load = (): Config => {
    const loaded = loadConfig(paths, env, flags);
    // Where managed settings forbid our hooks, an answer can only come through the reply tool.
    return managed.hooksForbidden && namesEngine("interactive", loaded) ? { ...loaded, reply: "tool" } : loaded;
  };
  const running = createRunningConfig(load(), load);
  const { config } = running;
  const chatKey = config.apiKey ?? loadChatKey(paths.chatKey);
  const callers = new Callers(config, chatKey, paths.keys);
  const controlKey = loadControlKey(paths.controlKey);
  const metricsKey = config.metricsKey ?? loadMetricsKey(paths.metricsKey);
  prepareWorkspace(config.workspace);
  await configureLog(config.logLevel);

  // One server per state folder.
  const lock = await lockStateFolder(paths);
  // This also happens when a later step fails, so that other commands find no server that does not run.
  process.on("exit", lock.release);
  killOrphans(paths.run);

  // Database. What a node of a fleet has is in Postgres.
  const { store, quarantined } = config.database
    ? { store: openMemoryStore(), quarantined: null }
    : openStore(paths.database);
  if (quarantined) {
    getLogger(["synthesis", "store"]).error("the database was damaged and was moved to {quarantined}", { quarantined });
  }
  const turns = createTurnStore(store);
  const sessions = createSessionStore(store);
  const usage = createUsageSums(store);
  const figures = createFiguresStore(store);
  const permissionLog = createPermissionLog(store);

  // Claude processes and conversations.
  const limits = new AccountLimits(systemClock, figures);
  const rejections = new Rejections();
  const login = new Login(env, config.workspace);
  const engines = createEngines({ config, paths, managed, env });
  const messages = new MessageCounts();
  const port = () => server.port;
  const launcher = createLauncher({ config, paths, port, managed, engines, limits, messages, program, env });
  const pool = createPool({ config, launcher });
  const attachments = createAttachmentStore(paths.attachments);
  const permissions = createPermissionBroker({ config, permissionLog, env });
  const checker = new SchemaChecker();
  const costs = new SessionCosts();
  // Loaded only for a node of a fleet, and with it the driver of Postgres.
  const node = config.database
    ? await (await import("./node.ts")).startNode({
        config,
        paths,
        chatKey,
        controlKey,
        store,
        sessions,
        turns,
        figures,
        pool,
        conversations: () => conversations,
        messages,
        env,
        sweep: [...program, "sweep", "--home", paths.home, "--at-once"],
      })
    : undefined;
  const conversations: ConversationRegistry = createConversationRegistry({
    config,
    pool,
    sessions,
    turns: node ? recordedTurns(turns, sessions, node.fleet) : turns,
    records: node?.fleet,
    figures,
    costs,
    attachments,
    permissions,
    login,
    checker,
    rejections,
    env,
  });
  const oneShots = createOneShotQueue({ config, paths, env, login, checker, limits, rejections, turns });

  const metrics = createMetrics({
    config,
    pool,
    conversations,
    oneShots,
    turns,
    login,
    limits,
    rejections,
    permissions,
    messages,
    node,
  });

  // HTTP: clients, hooks and plugins, all on one port.
  const { emptyFolder } = paths;
  const pages = new PageAccess();
  const errors = new RecentErrors();
  const snapshot = new Snapshot({
    config,
    pool,
    login,
    limits,
    rejections,
    engines,
    conversations,
    permissions,
    sessions,
    turns,
    usage,
    fleet: node?.fleet,
  });
  const live = new LiveFeed({ snapshot, permissions, errors, turns, clock: systemClock });
  const server = await openPort(config.bridgePort, () =>
    listen({
      config,
      running,
      callers,
      controlKey,
      metricsKey,
      metrics,
      messages,
      pages,
      pool,
      engines,
      login,
      limits,
      rejections,
      tokens: launcher.tokens,
      conversations,
      oneShots,
      sessions,
      turns,
      figures,
      usage,
      permissions,
      permissionLog,
      checker,
      limitsHistory: new LimitsHistory(limits),
      errors,
      live,
      emptyFolder,
      node,
    }),
  ).catch(async (error) => {
    // The others would send it conversations until its lease ends.
    await node?.close();
    throw error;
  });
  lock.announce(server.port);

  // Background work.
  pool.expect(likelyLaunches(sessions, config));
  const retention = createRetention(store);
  const stopRetention = startRetention({
    config,
    retention,
    usage,
    sessions,
    conversations,
    attachments,
    env,
    deleteShared: node?.fleet.deleteExpired,
  });
  const stopUsageRecovery = startUsageRecovery(turns, env);
  const notifications = startNotifications({ config, paths, login, limits, engines, permissions });
  const noteVersion = (version: string) => {
    notifications.noteVersion(version);
    metrics.noteVersion(version);
  };
  const stopInstallationWatch = watchInstallation({ config, env, login, onVersion: noteVersion });
  if (quarantined) notifications.noteQuarantine(quarantined);
  const watchdog = startWatchdog([...program, "sweep", "--home", paths.home]);

  shutDownOnSignal(
    {
      drainMs: config.drainMs,
      stopRetention,
      stopUsageRecovery,
      stopInstallationWatch,
      notifications,
      conversations,
      oneShots,
      pool,
      checker,
      server,
      pages,
      turns,
      figures,
      store,
      lock,
      watchdog,
      node,
    },
    runner,
  );
  const { isReady, version } = await printStartupReport({ config, paths, engines, login, server, quarantined });
  if (version) noteVersion(version);
  if (isReady) launcher.probeChannel();
}
