/** `/v1/permissions`: the permission prompts of all conversations, and verdicts through the control API. */
import { Hono } from "hono";
import { RequestError } from "../../core/errors.ts";
import type { PermissionBroker } from "../../permissions/broker.ts";
import { promptBody, promptDetails } from "../../permissions/prompt-body.ts";
import type { PermissionLog } from "../../store/permissions.ts";
import type { PermissionRow } from "../../store/schema.ts";
import { type PermissionList, type PermissionRecord, permissionVerdict } from "../../wire/permissions.ts";
import type { Env } from "../env.ts";
import { validJson } from "../validation.ts";

/** The list shows this many prompts of the log. */
const LATEST_COUNT = 50;

interface PermissionsDeps {
  readonly permissions: PermissionBroker;
  readonly permissionLog: PermissionLog;
}

export const permissionRoutes = ({ permissions, permissionLog }: PermissionsDeps): Hono<Env> =>
  new Hono<Env>()
    .get("/", (c) =>
      c.json({
        object: "list",
        data: permissions.pending.map(promptBody),
        latest: permissionLog.latest(LATEST_COUNT).map(recordBody),
      } satisfies PermissionList),
    )
    .get("/:id", (c) => {
      const id = c.req.param("id");
      const prompt = permissions.pending.find((pending) => pending.id === id);
      if (!prompt) throw notPending(id);
      return c.json(promptDetails(prompt));
    })
    .post("/:id", validJson(permissionVerdict), (c) => {
      const { behavior, rule } = c.req.valid("json");
      const id = c.req.param("id");
      if (!permissions.answer(id, { behavior, rule, way: "control", by: null })) throw notPending(id);
      return c.json({ id, behavior });
    });

const notPending = (id: string) =>
  new RequestError(
    "permission_not_found",
    `No permission prompt ${id} waits for an answer. It was answered, or it timed out. ` +
      "`synthesis permissions list` shows those that wait.",
  );

const recordBody = (row: PermissionRow): PermissionRecord => ({
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
});
