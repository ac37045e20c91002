/** A permission prompt as the control API and the page show it. */
import type { PermissionPromptBody, PermissionPromptDetails } from "../wire/permissions.ts";
import type { PendingPrompt } from "./broker.ts";

export const promptBody = (prompt: PendingPrompt): PermissionPromptBody => ({
  id: prompt.id,
  session: prompt.session,
  turn: prompt.turn,
  tool: prompt.tool,
  description: prompt.description,
  input: prompt.input,
  sender: prompt.sender,
  asked_at: prompt.askedAt,
});

/** The same with the text that does not fit on one line. */
export const promptDetails = (prompt: PendingPrompt): PermissionPromptDetails => ({
  ...promptBody(prompt),
  content: prompt.content ?? null,
});
