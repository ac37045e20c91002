/**
 * `bun run docs`: writes the tables of settings in `docs/configuration.md` from the schema of the settings, and the tables
 * of routes, fields and metrics in `docs/http-api.md` from what the OpenAPI document and the registry say of them. The prose of both pages is written by hand;
 * a comment such as `<!-- settings: name, name -->` says what a table has.
 */
import { join } from "node:path";
import { z } from "zod";
import { pathsFor } from "../src/config/paths.ts";
import { defaults, isInternal, type Setting, settings } from "../src/config/schema.ts";
import { environmentName } from "../src/config/setting-names.ts";
import { FIELDS } from "../src/http/openapi/fields.ts";
import { OPERATIONS } from "../src/http/openapi/operations.ts";
import { quietMetrics } from "../test/metrics/series.ts";

export const CONFIGURATION_PAGE = join(import.meta.dir, "configuration.md");
export const HTTP_PAGE = join(import.meta.dir, "http-api.md");

const TABLE = /<!-- settings: ([^>]*) -->\n[\s\S]*?<!-- end of settings -->/g;

/** Defaults that depend on the machine or on another setting, in words. */
const COMPUTED_DEFAULTS: Partial<Record<Setting, string>> = {
  apiKey: "the key in `chat.key`",
  metricsKey: "the key in `metrics.key`",
  workspace: "`<home>/workspace`",
  allowedRoots: "the workspace",
  memoryMb: "half of the machine's memory",
};

/**
 * The page with its tables made anew.
 * Settings that only tests change are left out.
 * @throws Error when a setting stands in no table or in two, or a table names what is no documented setting
 */
export function withSettingsTables(page: string): string {
  const missing = new Set<string>((Object.keys(settings) as Setting[]).filter((name) => !isInternal(name)));
  const written = page.replace(TABLE, (_table, list: string) => {
    const names = list.split(/,\s*/);
    for (const name of names) {
      if (!missing.delete(name)) throw new Error(`${name} is not a documented setting, or stands in two tables.`);
    }
    return `<!-- settings: ${list} -->\n${table(names as Setting[])}\n<!-- end of settings -->`;
  });
  if (missing.size > 0) throw new Error(`No table in docs/configuration.md has ${[...missing].join(", ")}.`);
  return written;
}

const table = (names: readonly Setting[]): string =>
  ["| Setting | Value | Default | Meaning |", "|---|---|---|---|", ...names.map(row)].join("\n");

function row(name: Setting): string {
  const cells = [
    `\`${environmentName(name)}\`<br>\`${name}\``,
    allowedValues(name),
    defaultOf(name),
    settings[name].description ?? "",
  ];
  return `| ${cells.join(" | ")} |`;
}

interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A larger limit is one of the machine's and means that any number is allowed. */
const LARGEST_NAMED = 100_000;

function allowedValues(name: Setting): string {
  const schema = z.toJSONSchema(settings[name], { io: "input", unrepresentable: "any" }) as JsonSchema;
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.type === "integer") {
    const { minimum = 0, maximum = Number.POSITIVE_INFINITY } = schema;
    return maximum > LARGEST_NAMED ? `whole number from ${minimum}` : `${minimum} to ${maximum}`;
  }
  if (schema.type === "array") return "list";
  if (schema.type === "object") return "JSON object";
  return schema.type === "string" ? "text" : "`true`, `false`";
}

function defaultOf(name: Setting): string {
  const computed = COMPUTED_DEFAULTS[name];
  if (computed) return computed;
  const value = defaults(pathsFor("/"))[name];
  if (value === undefined || JSON.stringify(value) === "{}") return "none";
  return `\`${Array.isArray(value) ? value.join(" ") : value}\``;
}

const FIELD_TABLE = /<!-- fields: (.*) -->\n[\s\S]*?<!-- end of fields -->/g;

/** The page with its tables of fields made anew. @throws Error when an operation has none, or has no fields */
export function withFieldTables(page: string): string {
  const missing = new Set(Object.keys(FIELDS));
  const written = page.replace(FIELD_TABLE, (_table, operation: string) => {
    if (!missing.delete(operation)) throw new Error(`${operation} has no described fields, or has two tables.`);
    const rows = (FIELDS[operation] ?? []).map(([fields, what]) => `| ${fields.map(fieldName).join(", ")} | ${what} |`);
    const table = ["| Field | What happens to it |", "|---|---|", ...rows].join("\n");
    return `<!-- fields: ${operation} -->\n${table}\n<!-- end of fields -->`;
  });
  if (missing.size > 0) throw new Error(`docs/http-api.md has no table of fields for ${[...missing].join(", ")}.`);
  return written;
}

const fieldName = (name: string): string => (name === "others" ? "and others" : `\`${name}\``);

const ROUTES = /<!-- routes -->\n[\s\S]*?<!-- end of routes -->/;

/** The page with its table of routes made anew. @throws Error when it has none */
export function withRoutesTable(page: string): string {
  if (!ROUTES.test(page)) throw new Error("docs/http-api.md has no table of routes.");
  const rows = Object.entries(OPERATIONS).map(([name, { key, does }]) => `| \`${name}\` | ${key} | ${does} |`);
  const table = ["| Method and path | Key | What it does |", "|---|---|---|", ...rows].join("\n");
  return page.replace(ROUTES, () => `<!-- routes -->\n${table}\n<!-- end of routes -->`);
}

interface DescribedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  readonly labelNames: readonly string[];
}

const METRICS = /<!-- metrics -->\n[\s\S]*?<!-- end of metrics -->/;

/** The page with its table of metrics made anew. @throws Error when it has none */
export function withMetricsTable(page: string): string {
  if (!METRICS.test(page)) throw new Error("docs/http-api.md has no table of metrics.");
  const rows = quietMetrics({
    fleet: { nodes: [], leaseLeftMs: 0, counts: { held: 0, refused: 0 } },
    trust: { certificateEnd: 0 },
  })
    .registry.getMetricsAsArray()
    .map((metric) => {
      // The library's types leave the labels out.
      const { name, help, type, labelNames } = metric as unknown as DescribedMetric;
      const labels = labelNames.filter((label) => label !== "le").map((label) => `\`${label}\``);
      return `| \`${name}\` | ${type} | ${labels.join(", ")} | ${help} |`;
    });
  const table = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|", ...rows].join("\n");
  return page.replace(METRICS, () => `<!-- metrics -->\n${table}\n<!-- end of metrics -->`);
}

if (import.meta.main) {
  for (const [page, made] of [
    [CONFIGURATION_PAGE, withSettingsTables],
    [HTTP_PAGE, (page: string) => withMetricsTable(withFieldTables(withRoutesTable(page)))],
  ] as const) {
    await Bun.write(page, made(await Bun.file(page).text()));
  }
}
