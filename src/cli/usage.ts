/** `synthesis usage`: what the running server's turns have used, as a table, as CSV or as JSON. */
import { Command, Option } from "commander";
import { USAGE_BY, type UsageFiguresBody, type UsageQuery, type UsageReport } from "../wire/usage.ts";
import { table } from "./format.ts";
import { limitsTable } from "./limits.ts";
import { homeOption } from "./options.ts";
import { print, printJson } from "./print.ts";
import { runningServer } from "./running-server.ts";

interface Options extends UsageQuery {
  readonly home?: string;
  readonly json?: boolean;
  readonly csv?: boolean;
}

export const usageCommand = (): Command =>
  new Command("usage")
    .description("show how much of the plan is used, and turns, tokens, cost and the time to the first text")
    .addOption(homeOption())
    .addOption(new Option("--by <property>", "group the figures").choices(USAGE_BY).default("day"))
    .addOption(new Option("--days <count>", "the last days, with today (default 30)").conflicts("since"))
    .option("--since <date>", "the days since this one, such as 2026-11-01")
    .addOption(new Option("--csv", "print CSV").conflicts("json"))
    .option("--json", "print JSON")
    .action(async ({ home, json, csv, ...query }: Options) => {
      const report = await runningServer(home).usage(query);
      if (json) printJson(report);
      else print(csv ? usageCsv(report) : `${limitsTable(report.limits)}\n\n${usageTable(report)}`);
    });

function usageTable({ by, data, total, time_zone }: UsageReport): string {
  if (data.length === 0) return "No turns were counted in this time.";
  const titles = [by.toUpperCase(), "TURNS", "FAILED", "CALLS", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", "COST"];
  const cells = (name: string, figures: UsageFiguresBody) => [
    name,
    `${turnsOf(figures)}`,
    `${turnsOf(figures) - figures.turns.done || "–"}`,
    amount(figures.model_calls),
    amount(figures.input_tokens),
    amount(figures.cache_read_input_tokens),
    amount(figures.cache_creation_input_tokens),
    amount(figures.output_tokens),
    cost(figures),
    within(figures.first_text?.median_ms),
    within(figures.first_text?.p95_ms),
  ];
  const hasContexts = by === "conversation";
  const context = (percent: number | null) => (hasContexts ? [percent === null ? "unknown" : `${percent} %`] : []);
  const rows = data.map(({ name, context_used_percent, ...figures }) => [
    ...cells(name ?? "none", figures),
    ...context(context_used_percent),
  ]);
  const note = by === "day" || by === "hour" ? `\n\nTimes are those of ${time_zone}.` : "";
  const allTitles = [...titles, "FIRST TEXT", "95 %", ...(hasContexts ? ["CONTEXT"] : [])];
  return table(allTitles, [...rows, cells("total", total)]) + note;
}

/** How many turns have ended in any way. */
const turnsOf = ({ turns: { done, failed, interrupted, lost } }: UsageFiguresBody): number =>
  done + failed + interrupted + lost;

/** `12 345 678` */
const amount = (count: number): string => `${count}`.replace(/\B(?=(\d{3})+$)/g, " ");

/** A plus means that the cost of some turns is not known. */
function cost({ cost_usd, turns_without_cost }: UsageFiguresBody): string {
  if (cost_usd === null) return "unknown";
  return `$${cost_usd.toFixed(2)}${turns_without_cost > 0 ? "+" : ""}`;
}

const within = (ms: number | undefined): string => (ms === undefined ? "–" : `${(ms / 1000).toFixed(2)} s`);

/** One line for each group, with all figures. */
function usageCsv({ by, data }: UsageReport): string {
  const lines = data.map(({ name, starts_at: _, turns, first_text, context_used_percent, ...figures }) => ({
    [by]: name ?? "",
    ...turns,
    ...figures,
    first_text_median_ms: first_text?.median_ms ?? null,
    first_text_p95_ms: first_text?.p95_ms ?? null,
    ...(by === "conversation" ? { context_used_percent } : {}),
  }));
  const titles = Object.keys(lines[0] ?? { [by]: "" });
  return [titles, ...lines.map((line) => Object.values(line).map((value) => `${value ?? ""}`))]
    .map((cells) => cells.map(csvCell).join(","))
    .join("\n");
}

/**
 * A cell of a CSV file. A session key that begins like a formula gets a quote in front, because spreadsheet programs
 * would run it.
 */
function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
