/** `/v1/permissions`: the permission prompts of all conversations, and verdicts through the control API. */
import { type Context, Hono } from "hono";
import { RequestError } from "../../core/errors.ts";
import type { PermissionBroker } from "../../permissions/broker.ts";
import { promptBody, promptDetails } from "../../permissions/prompt-body.ts";
import type { PermissionLog } from "../../store/permissions.ts";
import type { PermissionRow } from "../../store/schema.ts";
import {
  type PermissionList,
  type PermissionRecord,
  permissionList,
  permissionVerdict,
} from "../../wire/permissions.ts";
import type { Env } from "../env.ts";
import type { OwnerNode } from "../owner-node.ts";
import { validJson } from "../validation.ts";

/** The list shows this many prompts of the log. */
const LATEST_COUNT = 50;

interface PermissionsDeps {
  readonly ownerNode: Pick<OwnerNode, "others" | "elsewhere">;
  readonly permissions: PermissionBroker;
  readonly permissionLog: PermissionLog;
}

export function permissionRoutes({ ownerNode, permissions, permissionLog }: PermissionsDeps): Hono<Env> {
  /** The answer of the node on which the prompt waits. @throws RequestError when it waits on none */
  const elsewhere = async (c: Context<Env>, id: string): Promise<Response> => {
    const answer = await ownerNode.elsewhere(c);
    if (answer) return answer;
    throw notPending(id);
  };

  return new Hono<Env>()
    .get("/", async (c) => {
      const { answers, missing } = await ownerNode.others(c, permissionList);
      const latest = [...permissionLog.latest(LATEST_COUNT).map(recordBody), ...answers.flatMap((one) => one.latest)];
      return c.json({
        object: "list",
        data: [...permissions.pending.map(promptBody), ...answers.flatMap(({ data }) => data)],
        latest: latest.sort((one, other) => other.asked_at - one.asked_at).slice(0, LATEST_COUNT),
        missing_nodes: missing,
      } satisfies PermissionList);
    })
    .get("/:id", async (c) => {
      const id = c.req.param("id");
      const prompt = permissions.pending.find((pending) => pending.id === id);
      return prompt ? c.json(promptDetails(prompt)) : elsewhere(c, id);
    })
    .post("/:id", validJson(permissionVerdict), async (c) => {
      const { behavior, rule } = c.req.valid("json");
      const id = c.req.param("id");
      const isAnswered = permissions.answer(id, { behavior, rule, way: "control", by: null });
      return isAnswered ? c.json({ id, behavior }) : elsewhere(c, id);
    });
}

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
