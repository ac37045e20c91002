/**
 * Who may come in. Everything listens on 127.0.0.1, but a browser on this machine is on 127.0.0.1 too:
 * a page could reach us by a name that resolves here (so Host is checked) or by a plain cross-site
 * request (so Origin is checked). No answer ever carries a CORS header.
 */
import type { MiddlewareHandler } from "hono";
import { bearer, digest, isSecret } from "../claude/tokens.ts";
import { ApiError } from "../openai/errors.ts";

/** Why a request with these headers is turned away; null when it is not. */
export function refusal(headers: Headers, port: number): ApiError | null {
  const own = ["127.0.0.1", "localhost", "[::1]"].map((host) => `${host}:${port}`);
  const host = headers.get("host") ?? "";
  if (!own.includes(host.toLowerCase())) {
    return new ApiError("host_not_allowed", `This server is reached as 127.0.0.1:${port}, not under another name.`);
  }
  const origin = headers.get("origin");
  if (origin !== null && !own.includes(origin.toLowerCase().replace(/^http:\/\//, ""))) {
    return new ApiError("origin_not_allowed", "This server does not answer web pages.");
  }
  return null;
}

/** Lets requests through that reach us under our own name and come from no web page. */
export function localOnly(port: () => number): MiddlewareHandler {
  return async (c, next) => {
    const refused = refusal(c.req.raw.headers, port());
    if (refused) throw refused;
    await next();
  };
}

/** Lets requests through that bring the chat key. */
export function requireKey(key: string): MiddlewareHandler {
  const expected = digest(key);
  return async (c, next) => {
    const brought = bearer(c.req.header("authorization"));
    if (brought === null || !isSecret(brought, expected)) {
      throw new ApiError(
        "invalid_api_key",
        "The API key is missing or wrong. Send `Authorization: Bearer <key>` with the key that `synthesis serve` " +
          "names when it starts.",
      );
    }
    await next();
  };
}
