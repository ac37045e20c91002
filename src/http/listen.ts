/** The one port: every door behind the guard, every error in OpenAI's shape. */

import { getLogger } from "@logtape/logtape";
import type { Server } from "bun";
import { Hono } from "hono";
import { getPath } from "hono/utils/url";
import { errorResponse } from "../api/openai-chat/error-response.ts";
import type { Pool } from "../claude/pool/pool.ts";
import type { RunningConfig } from "../config/running-config.ts";
import type { Config } from "../config/schema.ts";
import type { ConversationRegistry } from "../conversation/registry.ts";
import { RequestError, unexpected } from "../core/errors.ts";
import type { OneShots } from "../one-shot/queue.ts";
import type { PermissionBroker } from "../permissions/broker.ts";
import { storeError } from "../store/faults.ts";
import type { PermissionLog } from "../store/permissions.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { TurnStore } from "../store/turns.ts";
import { canonicalPath } from "./addresses.ts";
import { limitIdle } from "./connection-idle.ts";
import { inflateBody } from "./encodings.ts";
import { CHAT_KEY_WANTED, CONTROL_KEY_WANTED, createGuard, type Guard, requireKey } from "./guard.ts";
import { type BridgeData, bridgeHandlers, upgradeBridge } from "./routes/bridge.ts";
import { chatRoutes } from "./routes/chat.ts";
import { configRoutes } from "./routes/config.ts";
import { healthRoutes, readinessRoutes } from "./routes/health.ts";
import { receiveHook } from "./routes/hooks.ts";
import { modelRoutes } from "./routes/models.ts";
import { permissionRoutes } from "./routes/permissions.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { BODY_LIMIT } from "./validation.ts";

const log = getLogger(["synthesis", "http"]);

/** What Bun hands to every request. */
export interface Env {
  Bindings: { server: Server<BridgeData> };
}

export interface ListenDeps {
  readonly config: Config;
  readonly running: RunningConfig;
  /** The one that clients must bring, and the one that opens the sessions. */
  readonly keys: { readonly chat: string; readonly control: string };
  readonly pool: Pool;
  readonly conversations: ConversationRegistry;
  readonly sessions: SessionStore;
  readonly emptyFolder: string;
  readonly permissions: PermissionBroker;
  readonly permissionLog: PermissionLog;
  readonly oneShots: OneShots;
  readonly turns: TurnStore;
}

/** The open port, on 127.0.0.1 and, where there is one, on [::1]. */
export interface Listener {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Takes no more requests; resolves when the answers that are being read have ended. */
  stop(): Promise<void>;
}

/** Of a free port on 127.0.0.1 the same on [::1] may be taken. So many are tried. */
const FREE_PORTS_TRIED = 10;

/** Opens the port. Throws when it is taken on 127.0.0.1. */
export function listen(deps: ListenDeps): Listener {
  const wanted = deps.config.bridgePort;
  const app = doors(deps);
  for (let tried = 1; ; tried += 1) {
    const ipv4 = serve(deps, app, "127.0.0.1", wanted);
    const port = ipv4.port ?? wanted;
    try {
      return listener(port, [ipv4, serve(deps, app, "::1", port)]);
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      if (isTaken && wanted === 0 && tried < FREE_PORTS_TRIED) {
        void ipv4.stop(true);
        continue;
      }
      // A client that asks for localhost may ask there first, and it sends its key.
      if (isTaken) log.warning("port {port} on [::1] is taken by another program: use 127.0.0.1", { port });
      else log.info("not listening on [::1]: {error}", { error });
      return listener(port, [ipv4]);
    }
  }
}

const listener = (port: number, servers: readonly Server<BridgeData>[]): Listener => ({
  port,
  origin: `http://127.0.0.1:${port}`,
  stop: async () => void (await Promise.all(servers.map((server) => server.stop()))),
});

/** A page of another site cannot embed what it is answered, and no browser takes it for something else than it is. */
function withSafeHeaders(response: Response): Response {
  response.headers.set("cross-origin-resource-policy", "same-origin");
  response.headers.set("x-content-type-options", "nosniff");
  return response;
}

function serve({ config, pool }: ListenDeps, app: Hono<Env>, hostname: string, port: number): Server<BridgeData> {
  let guard: Guard | undefined;
  return Bun.serve<BridgeData>({
    hostname,
    port,
    async fetch(request, server) {
      guard ??= createGuard(server.port ?? port);
      try {
        // First of all: with a bad Host the URL is none.
        const refused = guard(request.headers);
        if (refused) throw refused;
        // `CONNECT *` has a target that is no path and no address.
        if (!URL.canParse(request.url))
          throw new RequestError("invalid_request", `The request has no path. ${THERE_IS}`);
        const { pathname } = new URL(request.url);
        if (pathname === "/bridge") return upgradeBridge(request, server, pool);
        if (pathname === "/hooks" && request.method === "POST") {
          return withSafeHeaders(await receiveHook(request, server, pool));
        }
        // Bun answers a HEAD with the status and the headers of what it gets, and cancels a stream.
        const asked = request.method === "HEAD" ? new Request(request, { method: "GET" }) : request;
        return withSafeHeaders(await app.fetch(asked, { server }));
      } catch (error) {
        if (error instanceof RequestError) return withSafeHeaders(errorResponse(error));
        throw error;
      }
    },
    // Beyond its own limit Bun answers 413 without a word. Ours is behind the key; what is not read is thrown away.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    // In development Bun answers an error with its own page, which shows the source.
    development: false,
    // Otherwise, outside of development, two servers on one port take turns without a word.
    reusePort: false,
    error: (error) => {
      log.error("unexpected: {error}", { error });
      return withSafeHeaders(errorResponse(unexpected()));
    },
    websocket: bridgeHandlers(config.bridgePingMs),
  });
}

const METHODS: Record<string, string> = {
  "/v1/chat/completions": "POST",
  "/chat/completions": "POST",
  "/v1/models": "GET",
  "/v1/models/:key": "GET",
  "/health": "GET",
  "/ready": "GET",
  "/hooks": "POST",
  "/v1/config": "GET",
  "/v1/config/roots": "POST",
  "/v1/permissions": "GET",
  "/v1/permissions/:key": "POST",
  "/v1/sessions": "GET",
  "/v1/sessions/:key": "GET, DELETE",
  "/v1/sessions/:key/interrupt": "POST",
  "/v1/sessions/:key/reset": "POST",
  "/v1/sessions/:key/screen": "GET",
};

const THERE_IS =
  "The base URL ends in /v1: a chat is POST /v1/chat/completions, the models are GET /v1/models. What else there is " +
  "stands in synthesis's README.";

function doors(deps: ListenDeps): Hono<Env> {
  const { keys, pool, conversations, sessions, turns } = deps;
  const chatKey = requireKey(keys.chat, CHAT_KEY_WANTED);
  const controlKey = requireKey(keys.control, CONTROL_KEY_WANTED);
  const chat = chatRoutes(deps);
  return new Hono<Env>({ getPath: (request) => canonicalPath(getPath(request)) })
    .use(async (c, next) => {
      await next();
      // A stream has its end later, and sets the limit then.
      if (!c.res.headers.get("content-type")?.startsWith("text/event-stream")) limitIdle(c);
    })
    .route("/health", healthRoutes(pool, conversations))
    .route("/ready", readinessRoutes(conversations))
    .use((c, next) => {
      // What is left of these is a wrong method, and they need no key.
      if (/^\/(health|ready)\/?$/.test(c.req.path)) return next();
      return (/^\/v1\/(sessions|permissions|config)(\/|$)/.test(c.req.path) ? controlKey : chatKey)(c, next);
    })
    .use((c, next) => {
      if (Number(c.req.header("content-length")) > BODY_LIMIT.maxBytes) throw BODY_LIMIT.tooLarge();
      return next();
    })
    .use(inflateBody(BODY_LIMIT))
    .route("/v1/sessions", sessionRoutes({ conversations, sessions, turns }))
    .route("/v1/permissions", permissionRoutes(deps))
    .route("/v1/config", configRoutes(deps.running))
    .route("/v1/models", modelRoutes)
    .route("/v1/chat/completions", chat)
    .route("/chat/completions", chat)
    .notFound((c) => {
      const allowed = METHODS[c.req.path.replace(/^\/v1\/(models|sessions|permissions)\/[^/]+/, "/v1/$1/:key")];
      if (!allowed) {
        const message = `There is nothing at ${c.req.method} ${c.req.path}. ${THERE_IS}`;
        return errorResponse(new RequestError("unknown_url", message));
      }
      const response = errorResponse(new RequestError("method_not_allowed", `${c.req.path} takes ${allowed} only.`));
      response.headers.set("allow", allowed);
      return response;
    })
    .onError((error, c) => {
      if (error instanceof RequestError) return errorResponse(error);
      log.error("unexpected: {error}", { method: c.req.method, path: c.req.path, error });
      return errorResponse(storeError(error) ?? unexpected());
    });
}
