/** The metrics, as a Prometheus with the metrics key reads them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { World } from "./world.ts";

export const metricsKey = ({ claude }: World): string =>
  readFileSync(join(claude.base, "state/metrics.key"), "utf8").trim();

export async function scrape(world: World): Promise<string> {
  const response = await fetch(`${world.server.url}/metrics`, {
    headers: { authorization: `Bearer ${metricsKey(world)}` },
  });
  if (!response.ok) throw new Error(`GET /metrics: ${response.status} ${await response.text()}`);
  return response.text();
}

/** The sum of all series with this name and these labels, such as `synthesis_turns_total{outcome="done"}`; null for none. */
export function seriesValue(text: string, series: string): number | null {
  const [, name = "", labels = ""] = /^(\w+)(?:\{(.*)\})?$/.exec(series) ?? [];
  const wanted = labels === "" ? [] : labels.split(",");
  const values = text.split("\n").flatMap((line) => {
    const [, found, own = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    return found === name && wanted.every((label) => own.split(",").includes(label)) ? [Number(value)] : [];
  });
  return values.length === 0 ? null : values.reduce((sum, one) => sum + one, 0);
}

/** Waits until a series has at least this value, since a turn ends a moment after its answer. @returns all metrics */
export async function scrapeUntil(world: World, series: string, least: number): Promise<string> {
  for (;;) {
    const text = await scrape(world);
    if ((seriesValue(text, series) ?? 0) >= least) return text;
    await Bun.sleep(20);
  }
}
