/** The one port: every door behind the guard, every error in OpenAI's shape. */
import { getLogger } from "@logtape/logtape";
import type { Server } from "bun";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import type { Pool } from "../claude/pool.ts";
import type { Config } from "../config/schema.ts";
import type { Conversations } from "../conversation/conversations.ts";
import { ApiError } from "../openai/errors.ts";
import { type BridgeData, bridgeHandlers, upgradeBridge } from "./bridge.ts";
import { chatDoor } from "./chat.ts";
import { localOnly, requireKey } from "./guard.ts";
import { healthDoor } from "./health.ts";
import { hooksDoor } from "./hooks.ts";
import { modelsDoor } from "./models.ts";

const log = getLogger(["synthesis", "http"]);

/** What Bun hands to every request. */
export interface Env {
  Bindings: { server: Server<BridgeData> };
}

export interface ListenDeps {
  readonly config: Config;
  /** The key that clients must bring. */
  readonly key: string;
  readonly pool: Pool;
  readonly conversations: Conversations;
}

/** Opens the port on 127.0.0.1. Throws when it is taken. */
export function listen(deps: ListenDeps): Server<BridgeData> {
  const { config, pool } = deps;
  let app: Hono<Env> | undefined;
  const server = Bun.serve<BridgeData>({
    hostname: "127.0.0.1",
    port: config.bridgePort,
    fetch(request, server) {
      app ??= doors(deps, server.port ?? config.bridgePort);
      // Cut out by hand: with a bad Host the URL is none.
      if (/^[^?#]*\/bridge(?:[?#]|$)/.test(request.url)) return upgradeBridge(request, server, pool);
      return app.fetch(request, { server });
    },
    // In development Bun answers an error with its own page, which shows the source.
    development: false,
    // Otherwise, outside of development, two servers on one port take turns without a word.
    reusePort: false,
    error: () => new ApiError("internal_error", "Something went wrong inside synthesis.").toResponse(),
    websocket: bridgeHandlers(config.bridgePingMs),
  });
  return server;
}

const METHODS: Record<string, string> = {
  "/v1/chat/completions": "POST",
  "/chat/completions": "POST",
  "/v1/models": "GET",
  "/health": "GET",
  "/hooks": "POST",
};

function doors({ config, key, pool, conversations }: ListenDeps, port: number): Hono<Env> {
  const chat = chatDoor({ config, conversations });
  return new Hono<Env>({ strict: false })
    .use(localOnly(() => port))
    .route("/health", healthDoor(pool, conversations))
    .route("/hooks", hooksDoor(pool))
    .use(requireKey(key))
    .route("/v1/models", modelsDoor)
    .route("/v1/chat/completions", chat)
    .route("/chat/completions", chat)
    .notFound((c) => {
      const allowed = METHODS[c.req.path.replace(/\/$/, "")];
      if (!allowed) {
        return new ApiError("unknown_url", `There is nothing at ${c.req.method} ${c.req.path}.`).toResponse();
      }
      const response = new ApiError("method_not_allowed", `${c.req.path} takes ${allowed} only.`).toResponse();
      response.headers.set("allow", allowed);
      return response;
    })
    .onError((error, c) => {
      if (error instanceof ApiError) return error.toResponse();
      // Hono's validator has this one for a body that is not JSON.
      if (error instanceof HTTPException && error.status === 400) {
        return new ApiError("invalid_json", "The body is not valid JSON.").toResponse();
      }
      log.error("unexpected: {error}", { method: c.req.method, path: c.req.path, error });
      return new ApiError("internal_error", "Something went wrong inside synthesis; its log says more.").toResponse();
    });
}
