/**
 * Rejects requests that a web page may have caused. The server listens on the loopback interface only, but a browser on
 * this machine reaches that too. A page can use a DNS name that resolves to 127.0.0.1, so `Host` is checked. A page can
 * also send a cross-site request, so `Origin` and `Sec-Fetch-Site` are checked. No response carries a CORS header.
 */
import { RequestError } from "../core/errors.ts";

/** Returns why a request with these headers is rejected, or null if it may pass. */
export type Guard = (headers: Headers) => RequestError | null;

/** Clients leave this port out of `Host` and `Origin`. */
const HTTP_PORT = 80;

/** @param port the port that the server listens on */
export function createGuard(port: number): Guard {
  const own = ["127.0.0.1", "localhost", "[::1]"].flatMap((host) =>
    port === HTTP_PORT ? [host, `${host}:${port}`] : `${host}:${port}`,
  );
  return (headers) => {
    if (!own.includes((headers.get("host") ?? "").toLowerCase())) {
      return new RequestError(
        "host_not_allowed",
        `The Host header names another server. Send the request to http://127.0.0.1:${port}.`,
      );
    }
    // A link or an image on a page of another site or port causes a request without an Origin header.
    const site = headers.get("sec-fetch-site");
    const isFromPage = site === "cross-site" || site === "same-site";
    const origin = headers.get("origin");
    if (isFromPage || (origin !== null && !own.includes(origin.toLowerCase().replace(/^http:\/\//, "")))) {
      return new RequestError(
        "origin_not_allowed",
        "This server does not answer web pages. Send the request from a program that sends no Origin header.",
      );
    }
    return null;
  };
}
