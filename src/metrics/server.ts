/** The server itself: its version, its memory and processor time, its event loop, and the messages that it exchanges. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, type Registry } from "prom-client";
import { version } from "../../package.json";
import type { MessageChannel, MessageCounts } from "../core/message-counts.ts";

/** The event loop is looked at this often, in ms. */
const RESOLUTION_MS = 20;

/** @param claudeVersion the version of Claude Code; null while it is unknown */
export function addServerMetrics(
  registry: Registry,
  messages: MessageCounts,
  claudeVersion: () => string | null,
): void {
  const registers = [registry];

  new Gauge({
    name: "synthesis_build_info",
    help: "The version of the server",
    labelNames: ["version"],
    registers,
  }).set({ version }, 1);
  new Gauge({
    name: "synthesis_claude_info",
    help: "The version of Claude Code; absent while it is unknown",
    labelNames: ["version"],
    registers,
    collect() {
      this.reset();
      const known = claudeVersion();
      if (known !== null) this.set({ version: known }, 1);
    },
  });

  // Standard names, which dashboards for any program use.
  new Gauge({
    name: "process_start_time_seconds",
    help: "When the server was started, in Unix time",
    registers,
  }).set(Date.now() / 1_000 - process.uptime());
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Memory of the server, without its agent processes",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Counter({
    name: "process_cpu_seconds_total",
    help: "Processor time of the server, without its agent processes",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1_000_000);
    },
  });

  const counted = (name: string, help: string, labels: readonly string[], read: () => readonly [object, number][]) =>
    new Counter({
      name,
      help,
      labelNames: labels,
      registers,
      collect() {
        this.reset();
        for (const [values, count] of read()) this.inc(values, count);
      },
    });
  const of = (channel: MessageChannel, labelsOf: (type: string) => object): [object, number][] =>
    [...messages.of(channel)].map(([type, count]) => [labelsOf(type), count]);
  counted("synthesis_hooks_total", "Hooks of Claude Code in a terminal, by event", ["event"], () =>
    of("hook", (event) => ({ event })),
  );
  counted("synthesis_frames_total", "Frames of the plugins, by type and direction", ["type", "direction"], () => [
    ...of("frame_in", (type) => ({ type, direction: "in" })),
    ...of("frame_out", (type) => ({ type, direction: "out" })),
  ]);
  counted("synthesis_stream_lines_total", "Lines of stream-json from Claude Code, by type", ["type"], () =>
    of("stream_line", (type) => ({ type })),
  );

  addEventLoopDelay(registers);
}

/** Measures from the first scrape on, so that a server without a Prometheus has no timer for it. */
function addEventLoopDelay(registers: Registry[]): void {
  let delay: ReturnType<typeof monitorEventLoopDelay> | undefined;
  new Gauge({
    name: "synthesis_event_loop_delay_seconds",
    help: "How late the server's event loop is, since the last scrape; absent in the first one",
    labelNames: ["percentile"],
    registers,
    collect() {
      this.reset();
      if (delay === undefined) {
        delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
        delay.enable();
        return;
      }
      // Without a sample there is no figure.
      if (!(delay.max > 0)) return;
      this.set({ percentile: "50" }, delay.percentile(50) / 1e9);
      this.set({ percentile: "99" }, delay.percentile(99) / 1e9);
      this.set({ percentile: "100" }, delay.max / 1e9);
      delay.reset();
    },
  });
}
