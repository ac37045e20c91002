/**
 * `GET /health`: whether the server lives. `GET /ready`: whether it would take a message that begins a conversation.
 * Neither needs a key nor says anything private.
 */

import { Hono } from "hono";
import { version } from "../../../package.json";
import { errorHeaders } from "../../api/openai-chat/error-response.ts";
import type { Pool } from "../../claude/pool/pool.ts";
import type { ConversationRegistry } from "../../conversation/registry.ts";

export const healthRoutes = (pool: Pool, conversations: ConversationRegistry) =>
  new Hono().get("/", (c) =>
    c.json({ ok: true, version, processes: pool.size, conns: pool.connections, login: conversations.login }),
  );

export const readinessRoutes = (conversations: ConversationRegistry) =>
  new Hono().get("/", (c) => {
    const refused = conversations.unavailability();
    if (!refused) return c.json({ ready: true });
    return c.json({ ready: false, reason: refused.code }, 503, errorHeaders(refused));
  });
