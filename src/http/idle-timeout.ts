/**
 * The idle timeout of a connection. Bun closes a connection after 10 quiet seconds. A turn may be quiet for longer, so
 * the timeout is off while a request is answered. It is set again after the response: without it an idle connection
 * would stay open forever, and one client may keep thousands of them.
 */
import type { Context } from "hono";
import type { Env } from "./env.ts";

/** Bun's default. */
const IDLE_SECONDS = 10;

/** Keeps a request's connection open, however long its response takes. */
export const disableIdleTimeout = (c: Context<Env>): void => c.env.server.timeout(c.req.raw, 0);

/** Lets Bun close a request's connection again when it is idle. */
export const restoreIdleTimeout = (c: Context<Env>): void => c.env.server.timeout(c.req.raw, IDLE_SECONDS);
