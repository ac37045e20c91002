/**
 * A real Prometheus scrapes a server with real claudes: every query of the dashboard has data, and so has every alert.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { controlKey } from "../support/control.ts";
import { freePort } from "../support/daemon.ts";
import { metricsKey, scrape, scrapeUntil, seriesValue } from "../support/metrics.ts";
import type { World } from "../support/world.ts";
import { createScenario, runScenario } from "./scenario.ts";

const DEPLOY = join(import.meta.dir, "../../deploy");
/** How long data may take to appear in Prometheus, in ms. It scrapes every second. */
const DEADLINE_MS = 30_000;

/** Alerts whose series does not exist as long as all is well. */
const ONLY_WHEN_WRONG = ["SynthesisStartsFail"];

const dashboard = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).optional() })),
});
const rules = z.object({
  groups: z.array(z.object({ name: z.string(), rules: z.array(z.object({ alert: z.string(), expr: z.string() })) })),
});
const answer = z.object({
  status: z.literal("success"),
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) }),
});

let world: World;
let folder: string;
let prometheus: Bun.Subprocess;
let origin: string;

beforeAll(async () => {
  world = await createScenario();
  folder = mkdtempSync(join(tmpdir(), "prometheus-"));
  const key = join(folder, "metrics.key");
  writeFileSync(key, metricsKey(world), { mode: 0o600 });
  const config = readFileSync(join(DEPLOY, "prometheus.yml"), "utf8")
    .replaceAll("15s", "1s")
    .replace("prometheus-alerts.yml", join(DEPLOY, "prometheus-alerts.yml"))
    .replace("/etc/prometheus/synthesis-metrics.key", key)
    .replace("127.0.0.1:18990", new URL(world.server.url).host);
  writeFileSync(join(folder, "prometheus.yml"), config);
  origin = await startPrometheus();

  await runScenario(world, controlKey(world));
  // A rate needs two values of a counter, so the second run follows when Prometheus has those of the first.
  await untilData("synthesis_permission_prompts_total == 1");
  await untilData('synthesis_turns_total{outcome="interrupted"}');
  await runScenario(world, controlKey(world));
  await scrapeUntil(world, "synthesis_permission_prompts_total", 2);
}, 120_000);

afterAll(async () => {
  prometheus?.kill("SIGKILL");
  await prometheus?.exited;
  rmSync(folder, { recursive: true, force: true });
  await world?.[Symbol.asyncDispose]();
});

/** @returns its origin, when it answers */
async function startPrometheus(): Promise<string> {
  const program = Bun.which("prometheus");
  if (program === null) throw new Error("This suite needs Prometheus. Install it: apt-get install prometheus");
  const port = await freePort();
  prometheus = Bun.spawn(
    [
      program,
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: Bun.file(join(folder, "log")) },
  );
  const url = `http://127.0.0.1:${port}`;
  await until(`Prometheus does not start: ${join(folder, "log")}`, async () => {
    const ready = await fetch(`${url}/-/ready`).catch(() => null);
    return ready?.ok ? true : null;
  });
  return url;
}

/** Asks until there is an answer. @throws Error when there is none in time */
async function until<T>(problem: string, ask: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const found = await ask();
    if (found !== null) return found;
    if (performance.now() > deadline) throw new Error(problem);
    await Bun.sleep(100);
  }
}

/** The finite values of a query now. @throws Error when Prometheus refuses it */
async function values(query: string): Promise<number[]> {
  const response = await fetch(`${origin}/api/v1/query?${new URLSearchParams({ query })}`);
  const { data } = answer.parse(await response.json());
  return data.result.map(({ value: [, value] }) => Number(value)).filter(Number.isFinite);
}

const untilData = (query: string): Promise<number[]> =>
  until(`no data: ${query}`, async () => {
    const found = await values(query);
    return found.length > 0 ? found : null;
  });

const { panels } = dashboard.parse(JSON.parse(readFileSync(join(DEPLOY, "grafana-dashboard.json"), "utf8")));
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const));

test("the dashboard has queries", () => expect(queries.length).toBeGreaterThan(30));

test.each(queries)("the panel %s has data: %s", async (_title, expr) => {
  const query = expr.replaceAll("$job", "synthesis").replaceAll("$__rate_interval", "5m");
  // The server here is no node of a fleet, so that only the form of the query is checked.
  if (query.includes("synthesis_fleet_")) await values(query);
  else await untilData(query);
});

const { groups } = rules.parse(Bun.YAML.parse(readFileSync(join(DEPLOY, "prometheus-alerts.yml"), "utf8")));
const alerts = groups.flatMap((group) => group.rules.map((rule) => ({ ...rule, group: group.name })));

test.each(alerts)("the alert $alert is about data that exist", async ({ alert, expr, group }) => {
  const [, measured = ""] = /^([\s\S]+) (?:==|[<>]) [\d.]+$/.exec(expr.trim()) ?? [];
  expect(measured).not.toBe("");
  if (ONLY_WHEN_WRONG.includes(alert) || group === "synthesis-fleet") await values(measured);
  else await untilData(measured);
});

test("the alert of a usage limit fires, and that of a lost login does not", async () => {
  await untilData('ALERTS{alertname="SynthesisUsageLimitReached",alertstate="firing"}');
  expect(await values('ALERTS{alertname="SynthesisLoginLost"}')).toEqual([]);
});

test("turns are counted by their outcome, on both engines", async () => {
  const text = await scrape(world);
  for (const outcome of ["done", "failed", "interrupted"]) {
    expect([outcome, seriesValue(text, `synthesis_turns_total{outcome="${outcome}"}`)]).toEqual([
      outcome,
      expect.any(Number),
    ]);
  }
  for (const origin of ["cold", "warm", "resumed", "one_shot"]) {
    const count = seriesValue(text, `synthesis_time_to_first_text_seconds_count{origin="${origin}"}`);
    expect([origin, count]).toEqual([origin, expect.any(Number)]);
  }
  for (const engine of ["interactive", "stream"]) {
    const count = seriesValue(text, `synthesis_process_start_duration_seconds_count{engine="${engine}"}`);
    expect([engine, count]).toEqual([engine, expect.any(Number)]);
  }
});

test("promtool finds nothing wrong with the metrics and the rules", async () => {
  const check = async (args: string[], input: string) => {
    const child = Bun.spawn(["promtool", ...args], { stdin: new Blob([input]), stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, said: `${out}${err}` };
  };
  // The delay of the event loop is absent in the first answer.
  await scrape(world);
  expect(await check(["check", "metrics"], await scrape(world))).toEqual({ code: 0, said: "" });
  expect(await check(["check", "rules", join(DEPLOY, "prometheus-alerts.yml")], "")).toMatchObject({ code: 0 });
});
