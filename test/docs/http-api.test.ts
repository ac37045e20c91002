import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { HTTP_PAGE, withFieldTables, withMetricsTable, withRoutesTable } from "../../docs/generate.ts";
import { ERROR_CODES, errorStatus } from "../../src/api/openai-chat/error-response.ts";
import { RequestError } from "../../src/core/errors.ts";
import { type AppDeps, createApp } from "../../src/http/app.ts";
import { documentedPath, openApiDocument } from "../../src/http/openapi/document.ts";
import { FIELDS } from "../../src/http/openapi/fields.ts";
import { OPERATIONS } from "../../src/http/openapi/operations.ts";

interface OpenApi {
  readonly paths: Record<string, Record<string, Operation>>;
}
interface Operation {
  readonly requestBody?: {
    readonly content: Record<string, { readonly schema: { properties?: Record<string, { description?: string }> } }>;
  };
}

const page = readFileSync(HTTP_PAGE, "utf8");

test("the error table has every code with its status", () => {
  const documented = [...page.matchAll(/^\| `(\w+)` \| (\d{3}) \|/gm)].map(([, code, status]) => `${code} ${status}`);

  expect(documented.sort()).toEqual(
    ERROR_CODES.map((code) => `${code} ${errorStatus(new RequestError(code, ""))}`).sort(),
  );
});

test("docs/http-api.md has every metric as the registry has it (`bun run docs` updates it)", () => {
  expect(page).toBe(withMetricsTable(page));
});

/** The app's dependencies are used only by handlers, and a handler that fails for want of them has been reached. */
const callers = { find: (key: string) => (key === "chat" ? {} : null) };
const deps = {
  config: { allowedOrigins: [] as string[] },
  callers,
  controlKey: "control",
  metricsKey: "metrics",
  metrics: { noteError: () => {} },
  errors: { note: () => {} },
  pages: { find: () => null, end: () => false },
};
const app = createApp(deps as unknown as AppDeps);

test("docs/http-api.md has the table of routes as the OpenAPI document has it (`bun run docs` updates it)", () => {
  expect(page).toBe(withRoutesTable(page));
});

test("docs/http-api.md has the tables of fields that the OpenAPI document describes (`bun run docs` updates it)", () => {
  expect(page).toBe(withFieldTables(page));
});

test.each(Object.keys(FIELDS))("every checked field of %s is described", (operation) => {
  const [method = "", path = ""] = operation.split(" ");
  const { paths } = openApiDocument(app.routes) as unknown as OpenApi;
  const properties = paths[path]?.[method.toLowerCase()]?.requestBody?.content["application/json"]?.schema.properties;
  const described = Object.entries(properties ?? {}).filter(([, { description }]) => description);
  expect(described.length).toBeGreaterThan(5);
  expect(described.map(([name]) => name)).toEqual(Object.keys(properties ?? {}));
});

test("every route of the app is described, and nothing else", () => {
  // The same routes without /v1, for clients whose base URL lacks it.
  const isShorthand = (path: string) => path === "/chat/completions";
  // The files of the page are no part of the API.
  const isFile = (path: string) => path.startsWith("/page");
  const routes = app.routes
    .filter(({ method, path }) => method !== "ALL" && !isShorthand(path) && !isFile(path))
    .map(({ method, path }) => `${method} ${documentedPath(path)}`);
  expect(Object.keys(OPERATIONS).sort()).toEqual([...new Set(routes)].sort());
});

/** The server of a request and what it may reach, as far as the app uses them before a handler runs. */
const env = { server: { timeout: () => {} }, access: { routes: ["chat", "control"] } };

test.each(Object.entries(OPERATIONS))("the key of %s is the documented one", async (name, { key }) => {
  const [method = "", path = ""] = name.split(" ");
  const isRefused = async (bearer: string) =>
    (await app.request(path, { method, headers: { authorization: `Bearer ${bearer}` } }, env)).status === 401;

  expect(await isRefused("metrics")).toBe(key !== "none" && key !== "metrics key");
  expect(await isRefused("chat")).toBe(key !== "none" && key !== "chat key");
  expect(await isRefused("control")).toBe(key === "chat key" || key === "page");
  expect(await isRefused("wrong")).toBe(key !== "none");
});
