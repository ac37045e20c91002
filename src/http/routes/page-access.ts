/**
 * `/v1/page`: how a page comes in. `synthesis open` asks for a one-time code with the control key, and the page exchanges
 * it for a token of its own. There is no cookie: a browser would also send it with requests that other pages cause.
 */
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { z } from "zod";
import { RequestError } from "../../core/errors.ts";
import { bearer } from "../../core/tokens.ts";
import type { PageAccess } from "../../page-access/page-access.ts";
import { type PageCode, type PageToken, pageCodeRequest, pageTokenRequest, type signedOut } from "../../wire/page.ts";
import type { Env } from "../env.ts";
import { validJson } from "../validation.ts";

/** @param addresses base URLs at which the control API is served */
export const pageCodeRoutes = (access: PageAccess, addresses: () => readonly string[]): Hono<Env> =>
  new Hono<Env>().post("/", validJson(pageCodeRequest), (c) => {
    const { role } = c.req.valid("json");
    const { code, expiresAt } = access.createCode(role);
    return c.json({ code, role, expires_at: expiresAt, addresses: [...addresses()] } satisfies PageCode);
  });

/** What a page sends for its token is shorter. Every program may send it, so it is limited before it is read. */
const MAX_TOKEN_REQUEST_BYTES = 1_024;

const limited = bodyLimit({
  maxSize: MAX_TOKEN_REQUEST_BYTES,
  onError: () => {
    throw new RequestError("request_too_large", `The body is larger than ${MAX_TOKEN_REQUEST_BYTES} bytes.`);
  },
});

/** The code is the proof, so this needs no key. */
export const pageTokenRoutes = (access: PageAccess): Hono<Env> =>
  new Hono<Env>()
    .post("/", limited, validJson(pageTokenRequest), (c) => {
      c.header("cache-control", "no-store");
      return c.json(access.exchange(c.req.valid("json").code) satisfies PageToken);
    })
    .delete("/current", (c) => {
      const token = bearer(c.req.header("authorization"));
      if (token === null || !access.end(token)) {
        throw new RequestError("invalid_api_key", "This page is signed out already. Run `synthesis open` to come in.");
      }
      return c.json({ signed_out: true } satisfies z.infer<typeof signedOut>);
    });
