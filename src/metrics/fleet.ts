/** A node of a fleet: its lease, its conversations, and the other nodes as it knows them. A server that is alone has none of these. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { MessageCounts } from "../core/message-counts.ts";

interface MeasuredFleet {
  /** The nodes whose leases hold, as they were last read. */
  readonly nodes: readonly { readonly isDraining: boolean }[];
  /** What is left of this node's own lease, in ms; negative when it has ended. */
  readonly leaseLeftMs: number;
  readonly counts: {
    /** Conversations that this node has. */
    readonly held: number;
    /** Commits that Postgres has refused, because another node has the conversation. */
    readonly refused: number;
  };
}

export interface MeasuredNode {
  readonly fleet: MeasuredFleet;
  /** When the node's certificate ends, as Unix time in ms. */
  readonly trust: { readonly certificateEnd: number };
}

export function addFleetMetrics(registry: Registry, { fleet, trust }: MeasuredNode, messages: MessageCounts): void {
  const registers = [registry];

  new Gauge({
    name: "synthesis_fleet_nodes",
    help: "Nodes of the fleet whose leases hold, by state, as this node knows them",
    labelNames: ["state"],
    registers,
    collect() {
      const draining = fleet.nodes.filter(({ isDraining }) => isDraining).length;
      this.set({ state: "draining" }, draining);
      this.set({ state: "live" }, fleet.nodes.length - draining);
    },
  });
  new Gauge({
    name: "synthesis_fleet_lease_seconds",
    help: "What is left of the lease of this node; it renews it long before the end",
    registers,
    collect() {
      this.set(Math.max(0, fleet.leaseLeftMs / 1_000));
    },
  });
  new Gauge({
    name: "synthesis_fleet_conversations",
    help: "Conversations that this node has",
    registers,
    collect() {
      this.set(fleet.counts.held);
    },
  });
  new Gauge({
    name: "synthesis_fleet_certificate_end_timestamp_seconds",
    help: "When the certificate of this node ends, in Unix time",
    registers,
    collect() {
      this.set(trust.certificateEnd / 1_000);
    },
  });
  new Counter({
    name: "synthesis_fleet_refused_commits_total",
    help: "Commits that Postgres has refused, because another node had taken the conversation",
    registers,
    collect() {
      this.reset();
      this.inc(fleet.counts.refused);
    },
  });
  new Counter({
    name: "synthesis_fleet_forwarded_total",
    help: "Requests that this node has sent on to another one, by outcome",
    labelNames: ["outcome"],
    registers,
    collect() {
      this.reset();
      for (const [outcome, count] of messages.of("forwarded")) this.inc({ outcome }, count);
    },
  });
}
