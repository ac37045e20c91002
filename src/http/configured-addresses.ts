/** Opens the addresses of `listen` and `controlListen`: TCP ports, with TLS where there is a certificate, and Unix sockets. */
import { lstatSync, readFileSync, rmSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { Hono } from "hono";
import { ConfigError } from "../config/config-error.ts";
import { addressText, type ListenAddress } from "../config/listen-address.ts";
import type { Config } from "../config/schema.ts";
import type { Env } from "./env.ts";
import { addressGuard, type RouteGroup } from "./guard.ts";
import { type ServeDeps, serve, tcp } from "./serve.ts";

interface OpenAddress {
  /** The address as people read it, with what it serves. */
  readonly text: string;
  /** Base URLs at which a browser finds the page; empty for an address that does not serve the control API. */
  readonly pageAddresses: readonly string[];
  stop(): Promise<void>;
}

/** @throws ConfigError when one of them cannot be opened */
export async function openAddresses(deps: ServeDeps, app: Hono<Env>): Promise<readonly OpenAddress[]> {
  const { config } = deps;
  const tls = readCertificate(config);
  const opened: OpenAddress[] = [];
  for (const { address, routes } of addresses(config)) {
    const guard = () => addressGuard(address, tls ? "https" : "http", routes, config);
    const what = routes.length === 2 ? "chats and control" : routes[0] === "chat" ? "chats" : "control";
    try {
      if ("unix" in address) {
        await removeStaleSocket(address.unix);
        const server = asOwner(() => serve(deps, app, address, guard));
        const stop = () => server.stop().finally(() => rmSync(address.unix, { force: true }));
        opened.push({ text: `${address.unix} (${what})`, pageAddresses: [], stop });
      } else {
        const { host: hostname, port } = address;
        const server = serve(deps, app, tcp(hostname, port, tls), guard);
        const scheme = tls ? "https" : "http";
        const at = { ...address, port: server.port ?? port };
        const text = `${scheme}://${addressText(at)}/v1 (${what})`;
        const pageAddresses = routes.includes("control") ? baseUrls(scheme, at, config.allowedHosts) : [];
        opened.push({ text, pageAddresses, stop: () => server.stop() });
      }
    } catch (error) {
      const { message } = error as Error;
      throw new ConfigError(`synthesis cannot listen on ${addressText(address)}: ${message}`);
    }
  }
  return opened;
}

/** The URLs of an address as other machines name it: by a configured name, else by a number. */
function baseUrls(
  scheme: string,
  { host, port }: { readonly host: string; readonly port: number },
  allowedHosts: readonly string[],
): string[] {
  if (allowedHosts.length > 0) {
    return allowedHosts.map((name) => `${scheme}://${/:\d+$/.test(name) ? name : `${name}:${port}`}`);
  }
  const isAny = host === "0.0.0.0" || host === "::";
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const hosts = isAny ? own.filter(({ internal, family }) => !internal && family === "IPv4") : [{ address: host }];
  return hosts.map(({ address }) => `${scheme}://${addressText({ host: address, port })}`);
}

/** The configured addresses, each once, with what it serves. */
function addresses({ listen, controlListen }: Config): { address: ListenAddress; routes: RouteGroup[] }[] {
  const all = new Map<string, { address: ListenAddress; routes: RouteGroup[] }>();
  const named = [
    ...listen.map((address) => ({ address, group: "chat" as const })),
    ...controlListen.map((address) => ({ address, group: "control" as const })),
  ];
  for (const { address, group } of named) {
    const { routes } = all.getOrInsert(addressText(address), { address, routes: [] });
    if (!routes.includes(group)) routes.push(group);
  }
  return [...all.values()];
}

function readCertificate({ tlsCert, tlsKey }: Config): { cert: string; key: string } | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  try {
    return { cert: readFileSync(tlsCert, "utf8"), key: readFileSync(tlsKey, "utf8") };
  } catch (error) {
    throw new ConfigError(`The certificate or its key cannot be read: ${(error as Error).message}`);
  }
}

/** A server that was killed leaves its socket behind. @throws Error when another program listens on it */
async function removeStaleSocket(path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  const connection = await Bun.connect({ unix: path, socket: { data: () => {} } }).catch(() => null);
  if (!connection) return rmSync(path);
  connection.end();
  throw new Error("another program listens on it");
}

/** Only the owner may use a socket that is created meanwhile. */
function asOwner<T>(create: () => T): T {
  const before = process.umask(0o177);
  try {
    return create();
  } finally {
    process.umask(before);
  }
}
