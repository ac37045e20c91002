/**
 * `GET /health`: the server runs. `GET /ready`: the server would accept a message that starts a conversation.
 * Neither needs a key, so neither says anything private.
 */
import { Hono } from "hono";
import { version } from "../../../package.json";
import { errorHeaders } from "../../api/openai-chat/error-response.ts";
import type { Engines } from "../../claude/engines.ts";
import type { Login } from "../../claude/login.ts";
import type { Pool } from "../../claude/pool/pool.ts";
import type { ConversationRegistry } from "../../conversation/registry.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import type { Rejections } from "../../limits/rejections.ts";
import { UsageLimitError } from "../../limits/usage-limit-error.ts";
import type { Env } from "../env.ts";

interface HealthDeps {
  readonly pool: Pool;
  readonly login: Pick<Login, "state">;
  readonly engines: Pick<Engines, "configured">;
  readonly rejections: Rejections;
}

export const healthRoutes = ({ pool, login, engines, rejections }: HealthDeps): Hono<Env> =>
  new Hono<Env>().get("/", (c) =>
    c.json({
      ok: true,
      version,
      processes: pool.size,
      conns: pool.connections,
      login: login.state,
      // The reason in words would name files.
      engines: engines.configured().map(({ agent, engine, reason }) => ({ agent, engine, reason })),
      rejections: rejections.current().map(({ window, models, resetsAt }) => ({ window, models, resets_at: resetsAt })),
    }),
  );

/** @param fleet absent for a server that is no node of a fleet */
export const readinessRoutes = (
  conversations: Pick<ConversationRegistry, "unavailability">,
  fleet?: Pick<Fleet, "unavailability">,
): Hono<Env> =>
  new Hono<Env>().get("/", (c) => {
    const unavailable = fleet?.unavailability() ?? conversations.unavailability();
    if (!unavailable) return c.json({ ready: true });
    const { code: reason } = unavailable;
    const limit =
      unavailable instanceof UsageLimitError ? { window: unavailable.window, resets_at: unavailable.resetsAt } : {};
    return c.json({ ready: false, reason, ...limit }, 503, errorHeaders(unavailable));
  });
