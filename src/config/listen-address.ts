/** How an address to listen on is written. */
import { isIP, isIPv6 } from "node:net";
import { expandHome } from "./paths.ts";

export type ListenAddress = { readonly unix: string } | { readonly host: string; readonly port: number };

/** @returns null for a text that is neither `host:port` nor the absolute path of a Unix socket */
export function parseListenAddress(text: string): ListenAddress | null {
  const path = expandHome(text);
  if (path.startsWith("/")) return { unix: path };
  const [, ipv6, name, digits] = /^(?:\[(.+)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = ipv6 ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65535 || (ipv6 !== undefined && !isIPv6(ipv6))) return null;
  return { host: host.toLowerCase(), port };
}

/** As a person writes it: `host:port`, with brackets around IPv6, or a path. */
export function addressText(address: ListenAddress): string {
  if ("unix" in address) return address.unix;
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether only programs on this machine reach the address. */
export const isLocal = (address: ListenAddress): boolean =>
  "unix" in address || address.host === "localhost" || address.host === "::1" || isIPv4Loopback(address.host);

const isIPv4Loopback = (host: string): boolean => isIP(host) === 4 && host.startsWith("127.");
