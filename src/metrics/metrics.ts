/**
 * The metrics for Prometheus. Events are counted when they happen, and states are read when Prometheus asks, so no turn
 * waits for a metric. No label has a session key or anything that a person or Claude wrote.
 */
import { Counter, Registry } from "prom-client";
import type { Clock } from "../core/clock.ts";
import { systemClock } from "../core/clock.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { MessageCounts } from "../core/message-counts.ts";
import { addAccountMetrics } from "./account.ts";
import { addFleetMetrics, type MeasuredNode } from "./fleet.ts";
import { addProcessMetrics } from "./processes.ts";
import { addServerMetrics } from "./server.ts";
import { addTurnMetrics } from "./turns.ts";

export interface Metrics {
  /** Writes all metrics in Prometheus's text format. */
  readonly registry: Registry;
  /** Counts an error that a client has received. */
  noteError(code: ErrorCode): void;
  /** This version of Claude Code is used. */
  noteVersion(version: string): void;
}

/** @param deps what is measured, and the counts of the messages */
export function createMetrics(
  deps: Parameters<typeof addTurnMetrics>[1] &
    Omit<Parameters<typeof addProcessMetrics>[1], "clock"> &
    Parameters<typeof addAccountMetrics>[1] & {
      readonly messages: MessageCounts;
      /** Absent for a server that is no node of a fleet. */
      readonly node?: MeasuredNode | undefined;
      readonly clock?: Clock;
    },
): Metrics {
  const { messages, node, clock = systemClock } = deps;
  const registry = new Registry();
  let claudeVersion: string | null = null;

  addTurnMetrics(registry, deps);
  addProcessMetrics(registry, { ...deps, clock });
  addAccountMetrics(registry, deps);
  addServerMetrics(registry, messages, () => claudeVersion);
  if (node) addFleetMetrics(registry, node, messages);
  const errors = new Counter({
    name: "synthesis_errors_total",
    help: "Errors that clients have received, by code",
    labelNames: ["code"],
    registers: [registry],
  });

  return {
    registry,
    noteError: (code) => errors.inc({ code }),
    noteVersion: (version) => {
      claudeVersion = version;
    },
  };
}
