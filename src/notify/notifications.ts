/**
 * Decides which notifications are sent: of permission prompts, a lost login, the plan's limits, and what is wrong with the
 * server. It only listens, so no turn waits for it.
 */
import { basename } from "node:path";
import type { Engines } from "../claude/engines.ts";
import type { Login, LoginState } from "../claude/login.ts";
import { compareWithTested, TESTED_RANGE } from "../claude/tested-versions.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import type { AccountLimits, PlanWindow } from "../limits/account.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import { Outbox } from "./outbox.ts";
import { announcePrompts } from "./prompts.ts";
import { NotificationRecord } from "./record.ts";
import { send } from "./send.ts";
import { LOWEST_THRESHOLD, newlyPassed, type Passed } from "./thresholds.ts";

interface NotificationsDeps {
  readonly config: Pick<Config, "notifyUrl" | "notifyFormat" | "notifyContent">;
  readonly paths: Pick<Paths, "notificationRecord">;
  readonly login: Login;
  readonly limits: AccountLimits;
  readonly engines: Pick<Engines, "onChannel">;
  readonly permissions: Pick<PermissionBroker, "pending" | "onPrompt">;
  readonly clock?: Clock;
}

export interface Notifications {
  /** This version of Claude Code is used. */
  noteVersion(version: string): void;
  /** The damaged database was moved to this file. */
  noteQuarantine(file: string): void;
  /** Sends what still waits, within two seconds. */
  close(): Promise<void>;
}

const NONE: Notifications = { noteVersion: () => {}, noteQuarantine: () => {}, close: async () => {} };

/** Starts to send notifications, if the configuration names a receiver. */
export function startNotifications(deps: NotificationsDeps): Notifications {
  const { config, paths, login, limits, engines, permissions, clock = systemClock } = deps;
  if (!config.notifyUrl) return NONE;
  const receiver = { url: config.notifyUrl, format: config.notifyFormat };
  const outbox = new Outbox((notification, signal) => send(receiver, notification, signal), clock);
  const record = new NotificationRecord(paths.notificationRecord);
  const stopPrompts = announcePrompts({ outbox, permissions, withContent: config.notifyContent, clock });

  /** The queued notifications count here, so that none is queued twice. The record has only the delivered ones. */
  const passed = new Map<string, Passed>(Object.entries(record.state.windows));

  function noteWindow(window: PlanWindow): void {
    const { name, usedPercent } = window;
    const now = clock.wallTime();
    // Without its reset a window that is used less than before is known to be another one.
    if (usedPercent !== null && usedPercent < LOWEST_THRESHOLD && passed.get(name)?.resetsAt === null)
      passed.delete(name);
    const current = newlyPassed(window, passed.get(name), now);
    if (!current || usedPercent === null) return;
    passed.set(name, current);
    const { threshold, resetsAt } = current;
    outbox.add({
      read: () =>
        passed.get(name) !== current || (resetsAt !== null && resetsAt <= clock.wallTime())
          ? null
          : { kind: "plan_window", window: name, threshold, used_percent: usedPercent, resets_at: resetsAt },
      onDelivered: () => record.note({ windows: { ...record.state.windows, [name]: current } }),
    });
  }

  function noteLogin(state: LoginState): void {
    if (state === "expired") {
      outbox.add({
        read: () => (login.state === "expired" && !record.state.loginLost ? { kind: "login_lost" } : null),
        onDelivered: () => record.note({ loginLost: true }),
      });
    } else if (state === "ok") {
      outbox.add({
        // Without a notification of the loss, one of its end would say nothing.
        read: () => (login.state === "ok" && record.state.loginLost ? { kind: "login_restored" } : null),
        onDelivered: () => record.note({ loginLost: false }),
      });
    }
  }

  let areChannelsRefused = record.state.channelsRefused;
  function noteChannel(isRefused: boolean): void {
    if (isRefused === areChannelsRefused) return;
    areChannelsRefused = isRefused;
    if (!isRefused) {
      record.note({ channelsRefused: false });
      return;
    }
    outbox.add({
      read: () => (areChannelsRefused && !record.state.channelsRefused ? { kind: "channels_refused" } : null),
      onDelivered: () => record.note({ channelsRefused: true }),
    });
  }

  const addQuarantine = (file: string) =>
    outbox.add({
      read: () => ({ kind: "database_quarantined", file }),
      onDelivered: () => record.note({ undeliveredQuarantine: null }),
    });
  if (record.state.undeliveredQuarantine !== null) addQuarantine(record.state.undeliveredQuarantine);

  // The figures of the last server, of which it may not have delivered a notification.
  limits.windows().forEach(noteWindow);
  limits.onChange((windows) => windows.forEach(noteWindow));
  login.onChange(noteLogin);
  engines.onChannel((refusal) => noteChannel(refusal !== null));

  return {
    noteVersion: (version) => {
      if (compareWithTested(version) !== "newer") return;
      outbox.add({
        read: () =>
          record.state.untestedClaude === version ? null : { kind: "untested_claude", version, tested: TESTED_RANGE },
        onDelivered: () => record.note({ untestedClaude: version }),
      });
    },
    noteQuarantine: (file) => {
      // Only the start that moved the database knows of it, so the record keeps it until it is delivered.
      record.note({ undeliveredQuarantine: basename(file) });
      addQuarantine(basename(file));
    },
    close: async () => {
      stopPrompts();
      await outbox.close();
    },
  };
}
