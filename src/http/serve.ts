/** Answers the requests of one address: checks who may send them, then hands them to the app, or to a hook or a plugin. */
import { getLogger } from "@logtape/logtape";
import type { Server, TLSOptions } from "bun";
import type { Hono } from "hono";
import { errorResponse } from "../api/openai-chat/error-response.ts";
import { RequestError, unexpected } from "../core/errors.ts";
import { ADDRESSES, type AppDeps } from "./app.ts";
import type { Env } from "./env.ts";
import type { Guard } from "./guard.ts";
import { type BridgeData, bridgeHandlers, upgradeBridge } from "./routes/bridge.ts";
import { receiveHook } from "./routes/hooks.ts";

const log = getLogger(["synthesis", "http"]);

type Address = TcpAddress | { readonly unix: string };
interface TcpAddress {
  readonly hostname: string;
  readonly port: number;
  readonly tls?: TLSOptions;
  readonly reusePort: boolean;
}

/** A TCP port, over TLS if there is a certificate. */
export const tcp = (hostname: string, port: number, tls?: TLSOptions): TcpAddress => ({
  hostname,
  port,
  ...(tls && { tls }),
  // Otherwise Bun lets two servers share a port silently, each of which gets some of the requests.
  reusePort: false,
});

export type ServeDeps = Pick<AppDeps, "config" | "tokens" | "metrics" | "messages">;

/**
 * @param createGuard called with the port once it is known; 0 for a Unix socket
 * @throws a system error, such as EADDRINUSE, when the address cannot be opened
 */
export function serve(
  { config, tokens, metrics, messages }: ServeDeps,
  app: Hono<Env>,
  address: Address,
  createGuard: (port: number) => Guard,
): Server<BridgeData> {
  let guard: Guard | undefined;
  return Bun.serve<BridgeData>({
    ...address,
    async fetch(request, server) {
      guard ??= createGuard(server.port ?? 0);
      try {
        // Checked before the URL is read: with an invalid Host header, Bun has no valid URL.
        const access = guard(request.headers);
        // The target of `CONNECT *` is neither a path nor an address.
        if (!URL.canParse(request.url)) {
          throw new RequestError("invalid_request", `The request has no path. ${ADDRESSES}`);
        }
        if (access.isInternal) {
          const { pathname } = new URL(request.url);
          if (pathname === "/bridge") return upgradeBridge(request, server, tokens);
          if (pathname === "/hooks" && request.method === "POST") {
            return withSafeHeaders(await receiveHook(request, server, tokens, messages));
          }
        }
        // For HEAD, Bun sends the status and the headers of this response, and cancels a stream.
        const asGet = request.method === "HEAD" ? new Request(request, { method: "GET" }) : request;
        return withSafeHeaders(await app.fetch(asGet, { server, access }));
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        metrics.noteError(error.code);
        return withSafeHeaders(errorResponse(error));
      }
    },
    // Bun answers a body above its own limit with a bare 413. The app has a limit that applies behind the key.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    // In development mode Bun answers an error with a page that shows source code.
    development: false,
    error: (error) => {
      log.error("unexpected error: {error}", { error });
      return withSafeHeaders(errorResponse(unexpected()));
    },
    websocket: bridgeHandlers(config.bridgePingMs, messages),
  });
}

/** Keeps pages of other sites from embedding a response, and browsers from guessing its type. */
function withSafeHeaders(response: Response): Response {
  response.headers.set("cross-origin-resource-policy", "same-origin");
  response.headers.set("x-content-type-options", "nosniff");
  return response;
}
