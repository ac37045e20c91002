/** The metrics of a node of a fleet. */
import { expect, test } from "bun:test";
import { Registry } from "prom-client";
import { MessageCounts } from "../../src/core/message-counts.ts";
import { addFleetMetrics } from "../../src/metrics/fleet.ts";
import { seriesValue } from "../support/metrics.ts";
import { quietMetrics } from "./series.ts";

test("a node says how it and its fleet are", async () => {
  const registry = new Registry();
  const messages = new MessageCounts();
  const fleet = {
    nodes: [{ isDraining: false }, { isDraining: true }, { isDraining: false }],
    leaseLeftMs: 55_500,
    counts: { held: 7, refused: 2 },
  };
  addFleetMetrics(registry, { fleet, trust: { certificateEnd: 2_000 } }, messages);
  messages.note("forwarded", "answered");
  messages.note("forwarded", "answered");
  messages.note("forwarded", "unavailable");

  // Twice, since a counter that is read must not grow by it.
  await registry.metrics();
  const text = await registry.metrics();
  const value = (series: string) => seriesValue(text, `synthesis_fleet_${series}`);
  expect(value('nodes{state="live"}')).toBe(2);
  expect(value('nodes{state="draining"}')).toBe(1);
  expect(value("lease_seconds")).toBe(55.5);
  expect(value("conversations")).toBe(7);
  expect(value("certificate_end_timestamp_seconds")).toBe(2);
  expect(value("refused_commits_total")).toBe(2);
  expect(value('forwarded_total{outcome="answered"}')).toBe(2);
  expect(value('forwarded_total{outcome="unavailable"}')).toBe(1);

  fleet.leaseLeftMs = -1_000;
  expect(seriesValue(await registry.metrics(), "synthesis_fleet_lease_seconds")).toBe(0);
});

test("a server that is alone has no series of a fleet", async () => {
  expect(await quietMetrics().registry.metrics()).not.toContain("synthesis_fleet");
});
