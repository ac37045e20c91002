/**
 * The keys. A chat key opens what a client of the OpenAI API needs. The control key opens the control API: sessions,
 * permissions, configuration. The token of a page opens the part of it that the page needs, by the page's role. The
 * metrics key opens the metrics only.
 */
import type { Context, MiddlewareHandler } from "hono";
import { RequestError } from "../core/errors.ts";
import { bearer, digest, isSecret } from "../core/tokens.ts";
import type { PageAccess } from "../page-access/page-access.ts";
import type { Callers } from "./callers.ts";
import type { Env } from "./env.ts";
import type { RouteGroup } from "./guard.ts";

/** Notes the caller of each request for the handlers after it. */
export const requireChatKey = (callers: Pick<Callers, "find">): MiddlewareHandler<Env> =>
  requireKey(
    (candidate, c) => {
      const caller = callers.find(candidate);
      if (caller) c.set("caller", caller);
      return caller !== null;
    },
    "The API key is missing or wrong. Send `Authorization: Bearer <key>` (or `api-key` or `x-api-key`). The key is in " +
      "the file that `synthesis serve` names when it starts (chat.key in the state folder), unless SYNTHESIS_API_KEY " +
      "sets it. `synthesis keys` makes more keys.",
  );

export function requireControlKey(key: string): MiddlewareHandler<Env> {
  const expected = digest(key);
  return requireKey((candidate) => isSecret(candidate, expected), NEEDS_CONTROL_KEY);
}

const NEEDS_CONTROL_KEY =
  "The control key is missing or wrong. Send `Authorization: Bearer <key>` with the key in the file control.key in " +
  "synthesis's state folder. The chat key does not open this address. A page comes in with `synthesis open`.";

/**
 * For the routes that the page uses, too. Reading takes a token of any role, and everything else the role `decide`.
 * Notes the page of a request for the handlers after it.
 */
export function requireControlKeyOrPage(key: string, pages: Pick<PageAccess, "find">): MiddlewareHandler<Env> {
  const controlKey = requireControlKey(key);
  return async (c, next) => {
    const token = bearer(c.req.header("authorization"));
    const page = token === null ? null : pages.find(token);
    if (!page) return controlKey(c, next);
    if (page.role !== "decide" && c.req.method !== "GET") {
      throw new RequestError(
        "role_not_allowed",
        "This page may only look. Run `synthesis open` (without --look) for a page that may also decide.",
      );
    }
    c.set("page", page);
    await next();
  };
}

/** For the metrics. The metrics key opens nothing else, so that the machine of a Prometheus need not have more. */
export function requireMetricsKey(metricsKey: string, controlKey: string): MiddlewareHandler<Env> {
  const expected = [digest(metricsKey), digest(controlKey)];
  return requireKey(
    (candidate) => expected.some((one) => isSecret(candidate, one)),
    "The metrics key is missing or wrong. Send `Authorization: Bearer <key>` with the key in the file metrics.key in " +
      "synthesis's state folder, unless SYNTHESIS_METRICS_KEY sets it. The control key opens this address, too.",
  );
}

/**
 * Rejects requests without a right key. One right header is enough: some clients also send another key header, with a
 * placeholder that their user never configured.
 */
const requireKey =
  (accepts: (candidate: string, c: Context<Env>) => boolean, message: string): MiddlewareHandler<Env> =>
  async (c, next) => {
    const candidates = [bearer(c.req.header("authorization")), c.req.header("api-key"), c.req.header("x-api-key")];
    if (!candidates.some((candidate) => candidate && accepts(candidate, c))) {
      throw new RequestError("invalid_api_key", message);
    }
    await next();
  };

/** Rejects requests for routes that the address of the request does not serve. */
export function requireRoutes(group: RouteGroup): MiddlewareHandler<Env> {
  return async (c, next) => {
    if (!c.env.access.routes.includes(group)) throw new RequestError("unknown_url", NOT_SERVED[group]);
    await next();
  };
}

/** Rejects requests that another node has sent on, for what each node has of its own: its pages and their codes. */
export const requireDirect: MiddlewareHandler<Env> = async (c, next) => {
  if (c.env.access.isForwarded) throw new RequestError("unknown_url", "Nodes do not serve this address to each other.");
  await next();
};

const NOT_SERVED: Readonly<Record<RouteGroup, string>> = {
  chat: "Chats are not served at this address. SYNTHESIS_LISTEN names the addresses that serve them.",
  control:
    "The control API is not served at this address. Send the request to the port on 127.0.0.1, from a program. " +
    "SYNTHESIS_CONTROL_LISTEN names the other addresses that serve it.",
};
