/** Whether Claude Code may use an API key from its environment or a settings file. In a terminal it asks first; `claude --print` does not. */
import { z } from "zod";
import { stateFile } from "./config-folder.ts";
import { readJsonFile } from "./json-file.ts";
import { settingsFiles } from "./settings-files.ts";

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
 * Variables that keep an unapproved key from a Claude Code without a terminal, which would use it unasked.
 * @param env the environment that Claude Code gets
 * @param useApiKey the configuration approves every key
 */
export function withheldKey(
  workspace: string,
  env: Record<string, string | undefined>,
  useApiKey: boolean,
): Record<string, string> {
  const inSettings = settingsFiles(workspace, env).map(({ settings }) => settings.env?.ANTHROPIC_API_KEY);
  // Later files take precedence, and all of them over the environment.
  const key = inSettings.findLast((one) => typeof one === "string") ?? env.ANTHROPIC_API_KEY;
  if (typeof key !== "string" || key === "" || useApiKey || isApproved(key, env)) return {};
  // For Claude Code an empty key is none. Only a variable that is set replaces the key of a settings file.
  return { ANTHROPIC_API_KEY: "" };
}
