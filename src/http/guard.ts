/**
 * Decides what a request may reach, and rejects those that a web page may have caused without permission. A browser
 * reaches the loopback interface, too. A page can use a DNS name that resolves to an address of this server, so `Host`
 * is checked. A page can also send a cross-site request, so `Origin` and `Sec-Fetch-Site` are checked.
 */
import { isIP } from "node:net";
import { addressText, type ListenAddress } from "../config/listen-address.ts";
import type { Config } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";

export type RouteGroup = "chat" | "control";

/** What a request may reach. */
export interface Access {
  readonly routes: readonly RouteGroup[];
  /** Also `/hooks` and `/bridge`, for our own agent processes. */
  readonly isInternal: boolean;
  /** A page of an allowed origin has sent it, so the response has CORS headers. */
  readonly isFromPage: boolean;
  /** Another node of the fleet has sent it on for its client. It must not be sent on again. */
  readonly isForwarded: boolean;
}

/** @throws RequestError for a request that may reach nothing */
export type Guard = (headers: Headers) => Access;

type Allowed = Pick<Config, "allowedHosts" | "allowedOrigins">;

/** Clients leave this port out of `Host` and `Origin`. */
const HTTP_PORT = 80;

/** For the port on the loopback interface. @param port the port that the server listens on */
export function loopbackGuard(port: number, allowed: Allowed): Guard {
  const own = ["127.0.0.1", "localhost", "[::1]"].flatMap((host) =>
    port === HTTP_PORT ? [host, `${host}:${port}`] : `${host}:${port}`,
  );
  return createGuard(allowed, {
    isOwnHost: (host) => own.includes(host),
    isOwnOrigin: (origin) => own.some((host) => origin === `http://${host}`),
    own: { routes: ["chat", "control"], isInternal: true, isFromPage: false, isForwarded: false },
    // A name that reaches the loopback interface belongs to a proxy, which other machines may reach.
    named: { routes: ["chat"], isInternal: false, isFromPage: false, isForwarded: false },
    address: `http://127.0.0.1:${port}`,
  });
}

/**
 * For an address that the configuration names.
 * @param scheme of its URL: `https` with a certificate
 */
export function addressGuard(
  address: ListenAddress,
  scheme: "http" | "https",
  routes: readonly RouteGroup[],
  allowed: Allowed,
): Guard {
  const access = { routes, isInternal: false, isFromPage: false, isForwarded: false };
  return createGuard(allowed, {
    // No page reaches a socket. To an address in numbers, or to `localhost`, no page can give a name of its own. Its port
    // may be another one here, for example in a container.
    isOwnHost: (host) => "unix" in address || isIP(hostname(host)) > 0 || hostname(host) === "localhost",
    isOwnOrigin: (origin, host) => origin === `${scheme}://${host}`,
    own: access,
    named: access,
    address: addressText(address),
  });
}

/** Marks a request that a node sends on to the node that has the conversation. Its value is new for each request. */
export const FORWARDED_HEADER = "x-synthesis-forwarded";
/** A node repeats a request within a second. */
const REMEMBERED = 10_000;

/**
 * For the listener that only the other nodes can reach, since it asks for their certificate. A node that forwards a
 * request has checked its `Host` and `Origin`. It repeats one whose connection broke off, which must not be served twice.
 */
export function createNodeGuard(): Guard {
  const arrived = new Set<string>();
  return (headers) => {
    const id = headers.get(FORWARDED_HEADER);
    if (id === null) {
      throw new RequestError(
        "unknown_url",
        "This address is for the other nodes of the fleet. SYNTHESIS_LISTEN names the addresses for clients.",
      );
    }
    if (arrived.has(id)) {
      throw new RequestError(
        "node_unavailable",
        "The connection to the node that has this conversation broke off. Send the message again.",
        { retryAfter: 1 },
      );
    }
    arrived.add(id);
    if (arrived.size > REMEMBERED) arrived.delete(arrived.keys().next().value as string);
    return { routes: ["chat", "control"], isInternal: false, isFromPage: false, isForwarded: true };
  };
}

interface Door {
  readonly isOwnHost: (host: string) => boolean;
  /** Whether a page of this origin is the server's own. @param host the name that the request uses for the server */
  readonly isOwnOrigin: (origin: string, host: string) => boolean;
  /** For requests to one of the door's own names. */
  readonly own: Access;
  /** For requests to a name that the configuration adds. */
  readonly named: Access;
  readonly address: string;
}

function createGuard({ allowedHosts, allowedOrigins }: Allowed, door: Door): Guard {
  const isNamed = (host: string) => allowedHosts.includes(host) || allowedHosts.includes(hostname(host));
  return (headers) => {
    const host = (headers.get("host") ?? "").toLowerCase();
    const access = door.isOwnHost(host) ? door.own : isNamed(host) ? door.named : null;
    if (!access) {
      throw new RequestError(
        "host_not_allowed",
        `The Host header names another server. Send the request to ${door.address}. If clients reach this server by ` +
          "another name, add it to SYNTHESIS_ALLOWED_HOSTS.",
      );
    }
    const origin = headers.get("origin")?.toLowerCase();
    if (origin !== undefined && allowedOrigins.includes(origin)) {
      return {
        routes: access.routes.filter((group) => group === "chat"),
        isInternal: false,
        isFromPage: true,
        isForwarded: false,
      };
    }
    // A link or an image on a page of another site or port causes a request without an Origin header.
    const site = headers.get("sec-fetch-site");
    const isOwnOrigin = origin === undefined || door.isOwnOrigin(origin, host);
    if (site === "cross-site" || site === "same-site" || !isOwnOrigin) {
      throw new RequestError(
        "origin_not_allowed",
        "This server does not answer this web page. Send the request from a program that sends no Origin header, or " +
          "add the page's origin to SYNTHESIS_ALLOWED_ORIGINS.",
      );
    }
    return access;
  };
}

/** The host without its port, and an IPv6 address without its brackets. */
const hostname = (host: string): string => host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
