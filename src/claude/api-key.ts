/** Whether Claude Code may use an API key from the environment. In a terminal it asks first; `claude --print` does not. */
import { z } from "zod";
import { stateFile } from "./config-folder.ts";
import { readJsonFile } from "./json-file.ts";

const answers = z.looseObject({
  customApiKeyResponses: z.looseObject({ approved: z.array(z.string()) }),
});

/**
 * Whether the user has approved this key in a terminal.
 * @param env the environment that contains the key
 */
export function isApproved(key: string, env: Record<string, string | undefined>): boolean {
  const state = answers.safeParse(readJsonFile(stateFile(env)));
  // Claude Code remembers a key by its last 20 characters.
  return state.success && state.data.customApiKeyResponses.approved.includes(key.slice(-20));
}

/**
 * The environment of a Claude Code without a terminal: it would use the key unasked, so the answer is given beforehand.
 * @param useApiKey the configuration approves every key
 */
export function withoutUnapprovedKey(env: Record<string, string>, useApiKey: boolean): Record<string, string> {
  const { ANTHROPIC_API_KEY: key, ...others } = env;
  return !key || useApiKey || isApproved(key, env) ? env : others;
}
