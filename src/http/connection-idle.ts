/** For how long a connection may be quiet. */
import type { Context } from "hono";
import type { Env } from "./listen.ts";

/** Bun's default. */
const IDLE_SECONDS = 10;

/**
 * Ends a request's connection when it has been quiet for a while behind the answer. Where an answer may take its time
 * the limit is off, and with it off the connection would stay open for ever: a client may keep thousands of them.
 */
export const limitIdle = (c: Context<Env>): void => c.env.server.timeout(c.req.raw, IDLE_SECONDS);
