/**
 * Which API key Claude Code uses, and whether it may use one from its environment or a settings file. In a terminal it
 * asks first; `claude --print` does not.
 */
import { z } from "zod";
import { stateFile } from "./config-folder.ts";
import type { AuthStatus } from "./executable.ts";
import { readJsonFile } from "./json-file.ts";
import { settingsFiles } from "./settings-files.ts";

type Env = Record<string, string | undefined>;

const answers = z.looseObject({
  customApiKeyResponses: z.looseObject({ approved: z.array(z.string()) }),
});

/**
 * Whether the user has approved this key in a terminal.
 * @param env the environment that contains the key
 */
export function isApproved(key: string, env: Env): boolean {
  const state = answers.safeParse(readJsonFile(stateFile(env)));
  // Claude Code remembers a key by its last 20 characters.
  return state.success && state.data.customApiKeyResponses.approved.includes(key.slice(-20));
}

/**
 * Variables that keep an unapproved key from a Claude Code without a terminal, which would use it unasked.
 * @param env the environment that Claude Code gets
 * @param useApiKey the configuration approves every key
 */
export function withheldKey(workspace: string, env: Env, useApiKey: boolean): Record<string, string> {
  const { value: key } = findVariable("ANTHROPIC_API_KEY", workspace, env);
  if (key === "" || useApiKey || isApproved(key, env)) return {};
  // For Claude Code an empty key is none. Only a variable that is set replaces the key of a settings file.
  return { ANTHROPIC_API_KEY: "" };
}

/**
 * Where the API key or the gateway's token comes from with which Claude Code makes its requests in a workspace, for
 * people. Claude Code prefers each of these to a claude.ai login, except a key that `/login` has stored.
 * @param useApiKey the configuration approves every key
 * @param auth what Claude Code says about its login; null when that is not known
 * @returns null when it uses a claude.ai login, or is not logged in
 */
export function apiKeyInUse(workspace: string, env: Env, useApiKey: boolean, auth: AuthStatus | null): string | null {
  const token = findVariable("ANTHROPIC_AUTH_TOKEN", workspace, env);
  if (token.value !== "") return token.source;
  const key = findVariable("ANTHROPIC_API_KEY", workspace, env);
  if (key.value !== "" && (useApiKey || isApproved(key.value, env))) return key.source;
  const helper = settingsFiles(workspace, env).findLast(({ settings }) => settings.apiKeyHelper);
  if (helper) return `apiKeyHelper in ${helper.file}`;
  // Claude Code itself also knows of managed settings and of the keychain.
  const known = auth?.apiKeySource ?? "ANTHROPIC_API_KEY";
  return known === "ANTHROPIC_API_KEY" ? null : known;
}

/** Variables that decide with which login, and of which API, Claude Code makes its requests. */
const LOGIN_VARIABLES = [
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_AUTH_TOKEN",
  "ANTHROPIC_BASE_URL",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "CLAUDE_CODE_USE_BEDROCK",
  "CLAUDE_CODE_USE_FOUNDRY",
  "CLAUDE_CODE_USE_VERTEX",
];

/**
 * Whether Claude Code uses the same login in two workspaces, as far as settings tell: those of a workspace may name a key
 * or a program that prints one.
 * @param one a workspace; null for a process that reads the user's settings only. The same for `other`
 * @param env the environment that Claude Code gets
 */
export const isSameLogin = (one: string | null, other: string | null, env: Env): boolean =>
  one === other || Bun.deepEquals(loginSettings(one, env), loginSettings(other, env));

const loginSettings = (workspace: string | null, env: Env) => ({
  helper: settingsFiles(workspace, env).findLast(({ settings }) => settings.apiKeyHelper)?.settings.apiKeyHelper,
  variables: LOGIN_VARIABLES.map((name) => findVariable(name, workspace, env).value),
});

/** The value of a variable for Claude Code, empty when it has none, and where it is set, for people. */
function findVariable(
  name: string,
  workspace: string | null,
  env: Env,
): { readonly value: string; readonly source: string } {
  // Later files take precedence, and all of them over the environment.
  const inSettings = settingsFiles(workspace, env).flatMap(({ file, settings }) => {
    const value = settings.env?.[name];
    return typeof value === "string" ? [{ value, source: `${name} in ${file}` }] : [];
  });
  return inSettings.at(-1) ?? { value: env[name] ?? "", source: name };
}
