/** Sends verdicts, and remembers those that this page has given. */
import { signal } from "@preact/signals";
import type { PermissionPromptDetails, PermissionVerdict } from "../wire/permissions.ts";
import { post } from "./access.ts";

export interface Decided {
  readonly id: string;
  readonly session: string;
  readonly tool: string;
  /** Such as `Allowed`. */
  readonly verdict: string;
}

/** The newest first. */
export const decided = signal<readonly Decided[]>([]);

/** How many are shown. */
const KEPT = 5;

/** @throws as `post` does, for example when another person has decided already */
export async function decide(
  { id, session, tool }: PermissionPromptDetails,
  verdict: PermissionVerdict,
): Promise<void> {
  await post(`/v1/permissions/${encodeURIComponent(id)}`, verdict);
  const what =
    verdict.behavior === "deny" ? "Denied" : verdict.rule ? `Allowed with ${verdict.rule}:` : "Allowed once:";
  decided.value = [{ id, session, tool, verdict: what }, ...decided.value].slice(0, KEPT);
}

/** A character that Claude Code's rules cannot have, see `permissionVerdict`. */
const UNFIT = /[()\n]/;

/**
 * A rule that matches just what Claude asks for, to start from. It is empty where a rule would be wide: the name of a tool
 * alone allows everything that the tool can do.
 */
export function suggestRule(tool: string, input: unknown): string {
  const { command, url, file_path } = (input ?? {}) as Record<string, unknown>;
  const within = (part: string) => (UNFIT.test(part) ? "" : `${tool}(${part})`);
  if (tool === "Bash" && typeof command === "string") return within(command);
  if (tool === "WebFetch" && typeof url === "string" && URL.canParse(url))
    return within(`domain:${new URL(url).hostname}`);
  // Claude Code reads a path with one slash at its beginning as one within the settings' folder.
  if (typeof file_path === "string" && file_path.startsWith("/")) return within(`/${file_path}`);
  return "";
}
