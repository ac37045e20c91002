/**
 * Who may come in. Everything listens on 127.0.0.1, but a browser on this machine is on 127.0.0.1 too:
 * a page could reach us by a name that resolves here (so Host is checked) or by a plain cross-site
 * request (so Origin is checked). No answer ever carries a CORS header.
 */
import type { MiddlewareHandler } from "hono";
import { RequestError } from "../core/errors.ts";
import { bearer, digest, isSecret } from "../core/tokens.ts";

/** Says why a request with such headers is turned away; null when it reaches us under our own name, from no web page. */
export type Guard = (headers: Headers) => RequestError | null;

/** What port a client leaves out of `Host` and `Origin`. */
const HTTP_PORT = 80;

/** @param port the one the server listens on */
export function createGuard(port: number): Guard {
  const own = ["127.0.0.1", "localhost", "[::1]"].flatMap((host) =>
    port === HTTP_PORT ? [host, `${host}:${port}`] : `${host}:${port}`,
  );
  return (headers) => {
    if (!own.includes((headers.get("host") ?? "").toLowerCase())) {
      return new RequestError(
        "host_not_allowed",
        `This server is reached as 127.0.0.1:${port}, not under another name. Use that address.`,
      );
    }
    // A page of another site, or of another port of this machine, can ask without an Origin: by a link or an image.
    const site = headers.get("sec-fetch-site");
    const isFromPage = site === "cross-site" || site === "same-site";
    const origin = headers.get("origin");
    if (isFromPage || (origin !== null && !own.includes(origin.toLowerCase().replace(/^http:\/\//, "")))) {
      return new RequestError(
        "origin_not_allowed",
        "This server does not answer web pages. Ask it from a program that sends no Origin header.",
      );
    }
    return null;
  };
}

export const CHAT_KEY_WANTED =
  "The API key is missing or wrong. Send `Authorization: Bearer <key>` (or `api-key` or `x-api-key`) with the content of the file that " +
  "`synthesis serve` names when it starts (chat.key in its state folder), or with SYNTHESIS_API_KEY if that is set.";
export const CONTROL_KEY_WANTED =
  "The control key is missing or wrong. Send `Authorization: Bearer <key>` with the content of control.key in " +
  "synthesis's state folder; the chat key does not open this.";

/**
 * Lets requests through that bring `key` in any of the headers for it. A client may send another one with a value that
 * its user never gave it.
 * @param wanted what the others are told
 */
export function requireKey(key: string, wanted: string): MiddlewareHandler {
  const expected = digest(key);
  return async (c, next) => {
    const brought = [bearer(c.req.header("authorization")), c.req.header("api-key"), c.req.header("x-api-key")];
    if (!brought.some((one) => one && isSecret(one, expected))) throw new RequestError("invalid_api_key", wanted);
    await next();
  };
}
