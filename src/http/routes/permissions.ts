/** `/v1/permissions`: what claude asks, and the answers of whoever has the control key. */
import { Hono } from "hono";
import { z } from "zod";
import { RequestError } from "../../core/errors.ts";
import type { PendingPrompt, PermissionBroker } from "../../permissions/broker.ts";
import type { PermissionLog } from "../../store/permissions.ts";
import { validJson } from "../validation.ts";

/** So many past questions are shown. */
const LATEST_SHOWN = 50;

const answer = z
  .strictObject({
    behavior: z.enum(["allow", "deny"]),
    /** What shall be allowed from now on in this conversation, in claude's syntax. */
    rule: z
      .string()
      .regex(/^[A-Za-z][\w-]*(\([^()\n]+\))?$/, "must be a rule in claude's syntax, such as Bash(git push *)")
      .optional(),
  })
  .refine(({ behavior, rule }) => behavior === "allow" || rule === undefined, {
    path: ["rule"],
    message: "says what is allowed, and goes with allow only",
  });

interface PermissionsDeps {
  readonly permissions: PermissionBroker;
  readonly permissionLog: PermissionLog;
}

export const permissionRoutes = ({ permissions, permissionLog }: PermissionsDeps) =>
  new Hono()
    .get("/", (c) =>
      c.json({
        object: "list",
        data: permissions.pending.map(shown),
        latest: permissionLog.latest(LATEST_SHOWN).map((row) => ({
          session: row.session,
          turn: row.turn,
          tool: row.tool,
          sender: row.sender,
          asked_at: row.askedAt,
          verdict: row.verdict,
          way: row.way,
          rule: row.rule,
          decided_by: row.decidedBy,
          decided_at: row.decidedAt,
        })),
      }),
    )
    .get("/:id", (c) => {
      const id = c.req.param("id");
      const pending = permissions.pending.find((one) => one.id === id);
      if (!pending) throw notWaiting(id);
      return c.json({ ...shown(pending), content: pending.content ?? null });
    })
    .post("/:id", validJson(answer), (c) => {
      const { behavior, rule } = c.req.valid("json");
      const id = c.req.param("id");
      if (!permissions.answer(id, { behavior, rule, way: "control", by: null })) {
        throw notWaiting(id);
      }
      return c.json({ id, behavior });
    });

const notWaiting = (id: string) =>
  new RequestError(
    "permission_not_found",
    `No question ${id} waits: it was answered, or its time is up. \`synthesis permissions list\` shows those that wait.`,
  );

const shown = ({ id, session, turn, tool, description, input, sender, askedAt }: PendingPrompt) => ({
  id,
  session,
  turn,
  tool,
  description,
  input,
  sender,
  asked_at: askedAt,
});
