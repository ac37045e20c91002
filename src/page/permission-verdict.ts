/** Sends verdicts, and remembers those that this page has given. */
import { signal } from "@preact/signals";
import type { PermissionPromptDetails, PermissionVerdict } from "../wire/permissions.ts";
import { post } from "./access.ts";
import { otherPrompts } from "./other-prompts.ts";

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
  // The server's live events take those of its own away.
  otherPrompts.value = otherPrompts.value.filter((prompt) => prompt.id !== id);
  const what =
    verdict.behavior === "deny" ? "Denied" : verdict.rule ? `Allowed with ${verdict.rule}:` : "Allowed once:";
  decided.value = [{ id, session, tool, verdict: what }, ...decided.value].slice(0, KEPT);
}
