/** `GET /openapi.json`: the API as an OpenAPI document. It needs no key, since it says nothing private. */
import { Hono } from "hono";
import type { RouterRoute } from "hono/types";
import type { Env } from "../env.ts";
import { openApiDocument } from "../openapi/document.ts";

/** @param routes those of the whole app, once it is complete */
export function openApiRoutes(routes: () => readonly RouterRoute[]): Hono<Env> {
  let document: object | undefined;
  return new Hono<Env>().get("/", (c) => {
    // Made with the first request: most servers are never asked for it.
    document ??= openApiDocument(routes());
    return c.json(document);
  });
}
