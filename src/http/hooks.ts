/** `POST /hooks`: what a claude's hooks report. claude waits for the answer, so it is given at once. */
import { getLogger } from "@logtape/logtape";
import { Hono } from "hono";
import type { Pool } from "../claude/pool.ts";
import { bearer } from "../claude/tokens.ts";
import { ApiError } from "../openai/errors.ts";
import { type HookBody, hookBody } from "../wire/hooks.ts";

const log = getLogger(["synthesis", "hooks"]);

/** Until a question can be put to the user, the answer is no. */
const REFUSED = {
  hookSpecificOutput: {
    hookEventName: "PermissionRequest",
    decision: {
      behavior: "deny",
      message:
        "The user cannot be asked in this chat, so this is not permitted. Do without it, or say what you would need.",
    },
  },
};

const answerTo = (hook: HookBody): object => (hook.hook_event_name === "PermissionRequest" ? REFUSED : {});

async function jsonBody(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch {
    // Not passed on: the parser's message quotes the body, and that may hold the user's words.
    throw new ApiError("invalid_json", "The body is not valid JSON.");
  }
}

export const hooksDoor = (pool: Pool) =>
  new Hono().post("/", async (c) => {
    const process = pool.byHookToken(bearer(c.req.header("authorization")));
    if (!process) throw new ApiError("invalid_api_key", "This token belongs to no running claude.");
    const body = hookBody.safeParse(await jsonBody(c.req.raw));
    if (!body.success) {
      const fields = body.error.issues.map(({ path }) => path.join("."));
      log.warning("hook ignored, these fields do not fit: {fields}", { pid: process.pid, fields });
      return c.json({});
    }
    process.receiveHook(body.data);
    return c.json(answerTo(body.data));
  });
