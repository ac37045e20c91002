/** Opens the server's port on 127.0.0.1 and, if IPv6 is available, on [::1]. */
import { getLogger } from "@logtape/logtape";
import type { Server } from "bun";
import type { Hono } from "hono";
import { errorResponse } from "../api/openai-chat/error-response.ts";
import { RequestError, unexpected } from "../core/errors.ts";
import { ADDRESSES, type AppDeps, createApp } from "./app.ts";
import type { Env } from "./env.ts";
import { createGuard, type Guard } from "./guard.ts";
import { type BridgeData, bridgeHandlers, upgradeBridge } from "./routes/bridge.ts";
import { receiveHook } from "./routes/hooks.ts";

const log = getLogger(["synthesis", "http"]);

export interface Listener {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Accepts no more requests. Resolves when all responses have ended. */
  stop(): Promise<void>;
}

/** A port that is free on 127.0.0.1 may be taken on [::1]. This many ports are tried. */
const FREE_PORTS_TRIED = 10;

/** @throws a system error, such as EADDRINUSE, when the port cannot be opened on 127.0.0.1 */
export function listen(deps: AppDeps): Listener {
  const configuredPort = deps.config.bridgePort;
  const app = createApp(deps);
  for (let attempt = 1; ; attempt += 1) {
    const ipv4 = serve(deps, app, "127.0.0.1", configuredPort);
    const port = ipv4.port ?? configuredPort;
    try {
      return listener(port, [ipv4, serve(deps, app, "::1", port)]);
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      if (isTaken && configuredPort === 0 && attempt < FREE_PORTS_TRIED) {
        void ipv4.stop(true);
        continue;
      }
      // A client that connects to `localhost` may reach the other program, and would send it the API key.
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

function serve({ config, tokens }: AppDeps, app: Hono<Env>, hostname: string, port: number): Server<BridgeData> {
  let guard: Guard | undefined;
  return Bun.serve<BridgeData>({
    hostname,
    port,
    async fetch(request, server) {
      guard ??= createGuard(server.port ?? port);
      try {
        // Checked before the URL is read: with an invalid Host header, Bun has no valid URL.
        const rejection = guard(request.headers);
        if (rejection) throw rejection;
        // The target of `CONNECT *` is neither a path nor an address.
        if (!URL.canParse(request.url)) {
          throw new RequestError("invalid_request", `The request has no path. ${ADDRESSES}`);
        }
        const { pathname } = new URL(request.url);
        if (pathname === "/bridge") return upgradeBridge(request, server, tokens);
        if (pathname === "/hooks" && request.method === "POST") {
          return withSafeHeaders(await receiveHook(request, server, tokens));
        }
        // For HEAD, Bun sends the status and the headers of this response, and cancels a stream.
        const asGet = request.method === "HEAD" ? new Request(request, { method: "GET" }) : request;
        return withSafeHeaders(await app.fetch(asGet, { server }));
      } catch (error) {
        if (error instanceof RequestError) return withSafeHeaders(errorResponse(error));
        throw error;
      }
    },
    // Bun answers a body above its own limit with a bare 413. The app has a limit that applies behind the key.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    // In development mode Bun answers an error with a page that shows source code.
    development: false,
    // Otherwise Bun lets two servers share a port silently, each of which gets some of the requests.
    reusePort: false,
    error: (error) => {
      log.error("unexpected error: {error}", { error });
      return withSafeHeaders(errorResponse(unexpected()));
    },
    websocket: bridgeHandlers(config.bridgePingMs),
  });
}

/** Keeps pages of other sites from embedding a response, and browsers from guessing its type. */
function withSafeHeaders(response: Response): Response {
  response.headers.set("cross-origin-resource-policy", "same-origin");
  response.headers.set("x-content-type-options", "nosniff");
  return response;
}
