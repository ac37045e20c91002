/**
 * The OpenAPI 3.1 document. The requests in it are the very schemas that the routes check: `validJson` and `valid` note
 * them with the handlers that they make.
 */
import type { RouterRoute } from "hono/types";
import { z } from "zod";
import { version } from "../../../package.json";
import { errorStatus } from "../../api/openai-chat/error-response.ts";
import { type ErrorCode, RequestError } from "../../core/errors.ts";
import { errorBody } from "../../wire/errors.ts";
import { validatedBy } from "../validation.ts";
import { messagesError } from "./answers.ts";
import { FIELDS } from "./fields.ts";
import { type Key, OPERATIONS, type Operation } from "./operations.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** Every route that asks for a key, or has a path at all, can answer with these. */
const COMMON_ERRORS: readonly ErrorCode[] = ["host_not_allowed", "origin_not_allowed", "internal_error"];

const SECURITY: Readonly<Record<Key, readonly string[]>> = {
  none: [],
  "chat key": ["chatKey"],
  "control key": ["controlKey"],
  "control key or page": ["controlKey", "pageToken"],
  page: ["pageToken"],
  "metrics key": ["metricsKey"],
};
const bearer = (description: string) => ({ type: "http", scheme: "bearer", description });

/** @param routes those of the app; the document has each of them that `OPERATIONS` describes */
export function openApiDocument(routes: readonly RouterRoute[]): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    const [method = "", path = ""] = name.split(" ");
    const handlers = routes.filter((route) => route.method === method && documentedPath(route.path) === path);
    paths[path] = { ...paths[path], [method.toLowerCase()]: operationObject(name, operation, path, handlers) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "synthesis",
      version,
      description:
        "Conversations with Claude Code processes over APIs of OpenAI, and a control API. The base URL of OpenAI's " +
        "clients ends in /v1.",
    },
    servers: [{ url: "http://127.0.0.1:18990" }],
    paths,
    components: {
      securitySchemes: {
        chatKey: bearer("The chat key. `api-key` and `x-api-key` may carry it, too."),
        controlKey: bearer("The control key, in control.key in the state folder."),
        metricsKey: bearer("The metrics key, in metrics.key in the state folder, or the control key."),
        pageToken: bearer("The token of a page, which `synthesis open` lets in."),
      },
      schemas: { Error: jsonSchema(errorBody, "output"), MessagesError: jsonSchema(messagesError, "output") },
    },
  };
}

/** `/v1/sessions/:key` → `/v1/sessions/{key}` */
export const documentedPath = (path: string): string => path.replaceAll(/:(\w+)/g, "{$1}");

function operationObject(
  name: string,
  { key, does, answer, event, isText, errors, errorShape = "Error", example }: Operation,
  path: string,
  handlers: readonly RouterRoute[],
): JsonObject {
  const checks = handlers.flatMap(({ handler }) => validatedBy(handler) ?? []);
  const body = checks.find(({ target }) => target === "json");
  const query = checks.find(({ target }) => target === "query");
  return {
    operationId: operationId(name),
    summary: does.split(/(?<=\.) |: /)[0],
    description: does,
    security: SECURITY[key].map((scheme) => ({ [scheme]: [] })),
    parameters: [...pathParameters(path), ...(query ? queryParameters(query.schema) : [])],
    ...(body && {
      requestBody: {
        required: true,
        content: { "application/json": { schema: bodySchema(name, body.schema), ...(example && { example }) } },
      },
    }),
    responses: {
      ...((answer || event) && { 200: { description: "The answer.", content: contentOf(answer, event) } }),
      ...(isText && { 200: { description: "The answer.", content: { "text/plain": { schema: { type: "string" } } } } }),
      ...errorResponses(
        [...errors, ...COMMON_ERRORS, ...(key === "none" ? [] : (["invalid_api_key"] as const))],
        errorShape,
      ),
      ...(name === "GET /ready" && answer ? { 503: { description: "Not ready.", content: contentOf(answer) } } : {}),
    },
  };
}

/** `GET /v1/sessions/{key}/screen` → `getSessionsKeyScreen` */
const operationId = (name: string): string =>
  name
    .replace("/v1/", "/")
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean)
    .map((word, index) => (index === 0 ? word.toLowerCase() : word.charAt(0).toUpperCase() + word.slice(1)))
    .join("");

const contentOf = (answer: z.ZodType | null, event?: z.ZodType): JsonObject => ({
  ...(answer && { "application/json": { schema: jsonSchema(answer, "output") } }),
  // OpenAPI 3.1 has no word for the events of a stream: the schema is that of the data of each.
  ...(event && { "text/event-stream": { schema: jsonSchema(event, "output") } }),
});

function errorResponses(codes: readonly ErrorCode[], shape: string): JsonObject {
  const byStatus = Map.groupBy(new Set(codes), (code) => errorStatus(new RequestError(code, "")));
  const schema = { $ref: `#/components/schemas/${shape}` };
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      status,
      { description: `The code is ${some.join(" or ")}.`, content: { "application/json": { schema } } },
    ]),
  );
}

const pathParameters = (path: string): JsonObject[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));

function queryParameters(schema: z.ZodType): JsonObject[] {
  const { properties = {}, required = [] } = jsonSchema(schema, "input") as {
    properties?: Record<string, JsonObject>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema: property,
  }));
}

/** The schema of a request body, with what happens to each of its fields. */
function bodySchema(name: string, schema: z.ZodType): JsonObject {
  const { properties = {}, ...rest } = jsonSchema(schema, "input") as { properties?: Record<string, JsonObject> };
  const described = Object.entries(properties).map(([field, property]) => {
    const rows = (FIELDS[name] ?? []).filter(([fields]) => fields.some((path) => path.split(".")[0] === field));
    const description = rows.map(([, what]) => what).join(" ");
    return [field, description === "" ? property : { ...property, description }];
  });
  return { ...rest, properties: Object.fromEntries(described) };
}

/** OpenAPI 3.1 has the JSON Schema of zod. Refinements and transforms in code cannot be shown. */
function jsonSchema(schema: z.ZodType, io: "input" | "output"): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}
