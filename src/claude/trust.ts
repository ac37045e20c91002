/** Whether the user has accepted a folder in Claude Code, so that its hooks and MCP servers may run. */
import { dirname } from "node:path";
import { z } from "zod";
import { RequestError } from "../core/errors.ts";
import { stateFile } from "./config-folder.ts";
import { readJsonFile } from "./json-file.ts";

const state = z.looseObject({
  projects: z.record(z.string(), z.looseObject({ hasTrustDialogAccepted: z.boolean().optional() })).catch({}),
});

/** @throws RequestError (`claude_not_ready`) when Claude Code trusts neither the folder nor one above it */
export function requireTrustedFolder(folder: string, env: Record<string, string | undefined>): void {
  const read = state.safeParse(readJsonFile(stateFile(env)));
  const projects = read.success ? read.data.projects : {};
  for (let path = folder; ; path = dirname(path)) {
    if (projects[path]?.hasTrustDialogAccepted === true) return;
    if (path === dirname(path)) break;
  }
  throw new RequestError(
    "claude_not_ready",
    "Claude Code does not trust this workspace yet, and synthesis trusts only folders that its configuration names. " +
      "Run `claude` in that folder once and accept it, or name the folder in SYNTHESIS_WORKSPACE or " +
      "SYNTHESIS_ALLOWED_ROOTS.",
  );
}
