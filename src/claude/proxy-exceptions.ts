/** Keeps Claude Code's hooks, which post to this server, off the user's proxy. Other requests still use the proxy. */
import { settingsFiles } from "./settings-files.ts";

const SERVER_ADDRESS = "127.0.0.1";

/**
 * `NO_PROXY` in both spellings: the exceptions of the user and of the workspace's settings, and this server's address.
 * The settings' exceptions are repeated because variables from `--settings` replace them.
 * @param env the environment that Claude Code gets
 */
export function proxyExceptions(workspace: string, env: Record<string, string | undefined>): Record<string, string> {
  const variables = [env, ...settingsFiles(workspace, env).map(({ settings }) => settings.env ?? {})];
  const exceptions = variables
    .flatMap(({ NO_PROXY, no_proxy }) => [NO_PROXY, no_proxy])
    .flatMap((list) => entries(list));
  const all = [...new Set([...exceptions, SERVER_ADDRESS])].join(",");
  return { NO_PROXY: all, no_proxy: all };
}

const entries = (list: unknown): string[] =>
  typeof list === "string" ? list.split(/[\s,]+/).filter((entry) => entry !== "") : [];
