/**
 * `POST /hooks`: the HTTP hooks of the running Claude Code processes. Claude Code waits for each response, and every
 * piece of text that Claude writes arrives in a hook, so these requests bypass Hono to save time.
 */
import { getLogger } from "@logtape/logtape";
import type { Server } from "bun";
import type { ProcessTokens } from "../../claude/interactive/process-tokens.ts";
import { permissionUpdate } from "../../claude/permission-update.ts";
import { RequestError } from "../../core/errors.ts";
import { JSON_BOUNDS, type JsonBounds } from "../../core/json-gate.ts";
import { MEGABYTE } from "../../core/machine.ts";
import type { MessageCounts } from "../../core/message-counts.ts";
import { bearer } from "../../core/tokens.ts";
import { hookBody, type Verdict } from "../../wire/hooks.ts";
import { type BodyLimit, readJson } from "../body.ts";
import type { BridgeData } from "./bridge.ts";

const log = getLogger(["synthesis", "hooks"]);

/** Hooks hold the inputs and outputs of tools, and so may be larger than the requests of clients. */
const MAX_BODY_MB = 128;

const BODY_LIMIT: BodyLimit = {
  maxBytes: MAX_BODY_MB * MEGABYTE,
  tooLarge: () => new RequestError("request_too_large", `The body of this hook is larger than ${MAX_BODY_MB} MB.`),
};
/** One string may hold a whole file that a tool has read. */
const BODY_BOUNDS: JsonBounds = { ...JSON_BOUNDS, stringBytes: BODY_LIMIT.maxBytes };

/** The first invalid fields of a body are enough to find the cause. */
const MAX_FIELDS_LOGGED = 5;

/** Receives one hook. @throws RequestError if the token belongs to no process, or the body is not JSON */
export async function receiveHook(
  request: Request,
  server: Server<BridgeData>,
  tokens: ProcessTokens,
  messages: MessageCounts,
): Promise<Response> {
  const process = tokens.byHookToken(bearer(request.headers.get("authorization")));
  if (!process) {
    throw new RequestError(
      "invalid_api_key",
      "This token belongs to no running process. Only Claude Code processes that synthesis started send hooks here.",
    );
  }
  const body = hookBody.safeParse(await readJson(request, BODY_LIMIT, BODY_BOUNDS));
  // Claude Code reuses the connection for its next hook, and loses that hook if Bun closes the connection just then.
  // A permission prompt, too, may wait longer than Bun's idle timeout.
  server.timeout(request, 0);
  if (!body.success) {
    const fields = body.error.issues.slice(0, MAX_FIELDS_LOGGED).map(({ path }) => path.join("."));
    log.warning("hook ignored: invalid fields {fields}", { pid: process.pid, fields });
    return Response.json({});
  }
  messages.note("hook", body.data.hook_event_name);
  process.receiveHook(body.data);
  if (body.data.hook_event_name !== "PermissionRequest") return Response.json({});
  return Response.json(decisionBody(await process.askPermission(body.data, request.signal)));
}

/**
 * A verdict, in the format of Claude Code's hooks reference. The rule applies to this process only; later processes of
 * the conversation start with it.
 */
const decisionBody = ({ behavior, message, rule }: Verdict): object => ({
  hookSpecificOutput: {
    hookEventName: "PermissionRequest",
    decision:
      behavior === "deny"
        ? { behavior, message }
        : { behavior, ...(rule === null ? {} : { updatedPermissions: [permissionUpdate(rule)] }) },
  },
});
