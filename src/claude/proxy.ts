/** Claude Code's hooks post to this server. Its other requests use the proxy that the user has set. */
import { settingsFiles } from "./settings-files.ts";

const OURS = "127.0.0.1";

/**
 * `NO_PROXY` in both spellings for Claude Code: what the user and the workspace except from their proxy, and this
 * server's address. The settings' exceptions are repeated, since a variable from `--settings` replaces them.
 * @param env the environment that Claude Code gets
 */
export function proxyExceptions(workspace: string, env: Record<string, string | undefined>): Record<string, string> {
  const variables = [env, ...settingsFiles(workspace, env).map(({ settings }) => settings.env ?? {})];
  const excepted = variables.flatMap(({ NO_PROXY, no_proxy }) => [NO_PROXY, no_proxy]).flatMap((list) => entries(list));
  const all = [...new Set([...excepted, OURS])].join(",");
  return { NO_PROXY: all, no_proxy: all };
}

const entries = (list: unknown): string[] =>
  typeof list === "string" ? list.split(/[\s,]+/).filter((entry) => entry !== "") : [];
