/**
 * The events of `GET /v1/live`, by name. Each is one server-sent event whose data is JSON. The first of each kind has
 * everything, later ones what has changed. Times are Unix milliseconds.
 */
import { z } from "zod";
import { planLimits } from "./limits.ts";
import { pageRole } from "./page.ts";
import { permissionPromptDetails } from "./permissions.ts";

/** Something that a person should do something about. */
const warning = z.object({
  /** As in `synthesis doctor`, such as `login.expired`. */
  id: z.string(),
  name: z.string(),
  found: z.string(),
  advice: z.string(),
});
export type LiveWarning = z.infer<typeof warning>;

const liveOverview = z.object({
  version: z.string(),
  /** What this page may do. */
  role: pageRole,
  started_at: z.number(),
  processes: z.object({
    running: z.number(),
    /** How many may run. */
    limit: z.number(),
    /** Those of the running ones that are still starting. */
    starting: z.number(),
    /** Those of the running ones that no conversation has yet. */
    spare: z.number(),
  }),
  memory: z.object({
    /** Of all processes, as last measured; null before the first time. */
    used_mb: z.number().nullable(),
    budget_mb: z.number(),
  }),
  /** Messages that wait, in all conversations. */
  waiting: z.number(),
  login: z.enum(["ok", "expired", "unknown"]),
  plan: planLimits,
  engines: z.array(
    z.object({ agent: z.string().nullable(), engine: z.enum(["interactive", "stream"]), reason: z.string() }),
  ),
  /** The nodes of the fleet whose leases hold, this server among them; empty for a server that is alone. */
  nodes: z.array(
    z.object({
      name: z.string(),
      /** It takes no more conversations. */
      draining: z.boolean(),
      /** Its processes, and how many may run. */
      running: z.number(),
      limit: z.number(),
      /** Messages that wait there. */
      waiting: z.number(),
      version: z.string(),
    }),
  ),
  warnings: z.array(warning),
});
export type LiveOverview = z.infer<typeof liveOverview>;

const liveConversation = z.object({
  key: z.string(),
  source: z.string(),
  agent: z.string().nullable(),
  chat: z.string().nullable(),
  model: z.string().nullable(),
  workspace: z.string(),
  /** `needs_you`: a permission prompt of it waits for a verdict. `cold`: no process runs. */
  state: z.enum(["running", "needs_you", "idle", "cold"]),
  /** Requests in its queue. */
  waiting: z.number(),
  turns: z.number(),
  last_active_at: z.number(),
  /** Input and output, since the beginning of the day in the server's time zone. */
  tokens_today: z.number(),
});
export type LiveConversation = z.infer<typeof liveConversation>;

const liveConversations = z.object({
  /** These are all; otherwise only those that are new or have changed. */
  whole: z.boolean(),
  data: z.array(liveConversation),
  /** The keys of those that are no longer there. */
  removed: z.array(z.string()),
});

/** All permission prompts that wait, oldest first. */
const livePermissions = z.object({ data: z.array(permissionPromptDetails) });

/** An error that a client has received since the server started. */
const liveError = z.object({
  id: z.number(),
  at: z.number(),
  /** The session key; null for a request that names no conversation. */
  session: z.string().nullable(),
  code: z.string(),
  /** What happened, and what to do. */
  message: z.string(),
});
export type LiveError = z.infer<typeof liveError>;

/** The newest errors, newest first. */
const liveErrors = z.object({ data: z.array(liveError) });

/** The keys of conversations whose turns have changed. */
const liveTimeline = z.object({ sessions: z.array(z.string()) });

/** The stream ends: the page has signed out, or the server stops. */
const liveEnd = z.object({ reason: z.enum(["signed_out", "stopped"]) });

/** The schema of the data of each event. */
export const LIVE_EVENTS = {
  overview: liveOverview,
  conversations: liveConversations,
  permissions: livePermissions,
  errors: liveErrors,
  timeline: liveTimeline,
  end: liveEnd,
} as const;
export type LiveEventName = keyof typeof LIVE_EVENTS;
export type LiveData = { readonly [Name in LiveEventName]: z.infer<(typeof LIVE_EVENTS)[Name]> };
