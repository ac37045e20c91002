/** Opens the server's port on 127.0.0.1 and, if IPv6 is available, on [::1], and the addresses that are configured. */
import { getLogger } from "@logtape/logtape";
import type { Server } from "bun";
import type { Hono } from "hono";
import { addressText, type ListenAddress } from "../config/listen-address.ts";
import { type AppDeps, createApp } from "./app.ts";
import { openAddresses } from "./configured-addresses.ts";
import type { Env } from "./env.ts";
import { loopbackGuard } from "./guard.ts";
import { openNodeListener } from "./node-listener.ts";
import type { BridgeData } from "./routes/bridge.ts";
import { serve, tcp } from "./serve.ts";

const log = getLogger(["synthesis", "http"]);

export interface Listener {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** The configured addresses, as people read them, with what each serves. */
  readonly addresses: readonly string[];
  /** Accepts no more requests. Resolves when all responses have ended. */
  stop(): Promise<void>;
}

/** A port that is free on 127.0.0.1 may be taken on [::1]. This many ports are tried. */
const FREE_PORTS_TRIED = 10;

/**
 * @throws a system error, such as EADDRINUSE, when the port cannot be opened on 127.0.0.1
 * @throws ConfigError when a configured address cannot be opened
 */
export async function listen(deps: AppDeps): Promise<Listener> {
  const pageAddresses: string[] = [];
  const app = createApp(deps, () => pageAddresses);
  const { port, servers } = openLoopback(deps, app);
  const configured = await openAddresses(deps, app);
  const node = deps.node && openNodeListener(deps, app, deps.node.listen, deps.node.trust);
  pageAddresses.push(`http://127.0.0.1:${port}`, ...configured.flatMap((address) => address.pageAddresses));
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    addresses: [...configured.map(({ text }) => text), ...(deps.node ? [nodeAddress(deps.node.listen)] : [])],
    stop: async () => {
      await Promise.all([...servers, ...configured, ...(node ? [node] : [])].map((server) => server.stop()));
    },
  };
}

const nodeAddress = (address: ListenAddress): string => `https://${addressText(address)} (other nodes)`;

function openLoopback(deps: AppDeps, app: Hono<Env>): { port: number; servers: readonly Server<BridgeData>[] } {
  const configuredPort = deps.config.bridgePort;
  const open = (hostname: string, port: number) =>
    serve(deps, app, tcp(hostname, port), (opened) => loopbackGuard(opened, deps.config));
  for (let attempt = 1; ; attempt += 1) {
    const ipv4 = open("127.0.0.1", configuredPort);
    const port = ipv4.port ?? configuredPort;
    try {
      return { port, servers: [ipv4, open("::1", port)] };
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      if (isTaken && configuredPort === 0 && attempt < FREE_PORTS_TRIED) {
        void ipv4.stop(true);
        continue;
      }
      // A client that connects to `localhost` may reach the other program, and would send it the API key.
      if (isTaken) log.warning("port {port} on [::1] is taken by another program: use 127.0.0.1", { port });
      else log.info("not listening on [::1]: {error}", { error });
      return { port, servers: [ipv4] };
    }
  }
}
