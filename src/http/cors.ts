/** Lets pages of the allowed origins read responses, and asks no key for their preflight requests. */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { Env } from "./env.ts";

/** How long a browser may remember the answer to a preflight request, in seconds. */
const PREFLIGHT_SECONDS = 600;

export function allowPages(allowedOrigins: readonly string[]): MiddlewareHandler<Env> {
  const allow = cors({
    origin: [...allowedOrigins],
    allowMethods: ["GET", "POST", "DELETE"],
    // All of them: a page sends its key, and no cookies.
    exposeHeaders: ["*"],
    maxAge: PREFLIGHT_SECONDS,
  });
  return (c, next) => (c.env.access.isFromPage ? allow(c, next) : next());
}
