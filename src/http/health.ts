/** `GET /health`: whether the server lives. It needs no key and says nothing private. */
import { Hono } from "hono";
import { version } from "../../package.json";
import type { Pool } from "../claude/pool.ts";
import type { Conversations } from "../conversation/conversations.ts";

export const healthDoor = (pool: Pool, conversations: Conversations) =>
  new Hono().get("/", (c) =>
    c.json({ ok: true, version, processes: pool.size, conns: pool.connections, login: conversations.login }),
  );
