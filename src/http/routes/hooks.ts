/**
 * `POST /hooks`: what a claude's hooks report. claude waits for the answer, so it is given at once. Every
 * line that claude writes comes by here, so the way is short: past Hono, like the bridge.
 */
import { getLogger } from "@logtape/logtape";
import type { Server } from "bun";
import type { Pool } from "../../claude/pool/pool.ts";
import { RequestError } from "../../core/errors.ts";
import { JSON_BOUNDS, type JsonBounds } from "../../core/json-gate.ts";
import { MEGABYTE } from "../../core/machine.ts";
import { bearer } from "../../core/tokens.ts";
import { hookBody, type Verdict } from "../../wire/hooks.ts";
import { type BodyLimit, readJson } from "../body.ts";
import type { BridgeData } from "./bridge.ts";

const log = getLogger(["synthesis", "hooks"]);

/** A verdict as Claude Code's hooks reference has it. A rule holds for this process; the next is started with it. */
const decisionBody = ({ behavior, message, rule }: Verdict): object => ({
  hookSpecificOutput: {
    hookEventName: "PermissionRequest",
    decision:
      behavior === "deny"
        ? { behavior, message }
        : { behavior, ...(rule === null ? {} : { updatedPermissions: [addedRule(rule)] }) },
  },
});

function addedRule(rule: string): object {
  const [, toolName, ruleContent] = /^([^(]+)(?:\((.*)\))?$/.exec(rule) ?? [];
  return { type: "addRules", rules: [{ toolName, ruleContent }], behavior: "allow", destination: "session" };
}

/** They bring what tools were given and gave, and may well be larger than what a client may send. */
const MAX_BODY_MB = 128;

const BODY_LIMIT: BodyLimit = {
  maxBytes: MAX_BODY_MB * MEGABYTE,
  tooLarge: () => new RequestError("request_too_large", `This hook's body is larger than ${MAX_BODY_MB} MB.`),
};
/** A tool may have read a file of any size. */
const BODY_BOUNDS: JsonBounds = { ...JSON_BOUNDS, stringBytes: BODY_LIMIT.maxBytes };

/** The first fields that do not fit are enough to find the fault. */
const FIELDS_LOGGED = 5;

/** Takes one hook's post and gives its answer. @throws ApiError when it is not a claude of ours, or no JSON that fits */
export async function receiveHook(request: Request, server: Server<BridgeData>, pool: Pool): Promise<Response> {
  const process = pool.byHookToken(bearer(request.headers.get("authorization")));
  if (!process)
    throw new RequestError(
      "invalid_api_key",
      "This token belongs to no running claude. Only a claude that synthesis has started posts here.",
    );
  const body = hookBody.safeParse(await readJson(request, BODY_LIMIT, BODY_BOUNDS));
  // Bun ends a connection after ten quiet seconds. claude keeps its own for the next hook: one that it sends in just
  // that moment would be lost. And a person who is asked may take longer, too.
  server.timeout(request, 0);
  if (!body.success) {
    const fields = body.error.issues.slice(0, FIELDS_LOGGED).map(({ path }) => path.join("."));
    log.warning("hook ignored, these fields do not fit: {fields}", { pid: process.pid, fields });
    return Response.json({});
  }
  process.receiveHook(body.data);
  if (body.data.hook_event_name !== "PermissionRequest") return Response.json({});
  return Response.json(decisionBody(await process.askPermission(body.data, request.signal)));
}
