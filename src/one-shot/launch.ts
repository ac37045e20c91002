/** How a one-shot's process is launched: `claude --print` without tools, and without the user's hooks, plugins and files. */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { withheldKey } from "../claude/api-key.ts";
import { inheritedEnvironment, retries, UNATTENDED } from "../claude/environment.ts";
import {
  ISOLATION_ARGUMENTS,
  ISOLATION_PERMISSION_MODE,
  ISOLATION_VARIABLES,
  isolationSettings,
  NO_SYSTEM_PROMPT,
  NO_TRANSCRIPT,
} from "../claude/isolation.ts";
import { makeMarkedFolder } from "../claude/marked-folder.ts";
import { MARK_VARIABLE } from "../claude/process-mark.ts";
import { STREAM_JSON_ARGUMENTS } from "../claude/stream/protocol.ts";
import type { Config } from "../config/schema.ts";
import type { OneShotRequest } from "../intake/one-shot-request.ts";

/**
 * Writes the files that the process reads.
 * @param folder created here
 * @returns how to start the process
 */
export function prepareLaunch(
  request: OneShotRequest,
  folder: string,
  config: Config,
  parentEnv: Record<string, string | undefined>,
) {
  // The process works in an empty folder, so that there is nothing for it to read.
  const cwd = join(folder, "empty");
  makeMarkedFolder(folder);
  mkdirSync(cwd, { recursive: true, mode: 0o700 });
  const writeFile = (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const variables = {
    ...UNATTENDED,
    [MARK_VARIABLE]: basename(folder),
    ...ISOLATION_VARIABLES,
    ...withheldKey(cwd, parentEnv, config.useApiKey),
  };
  const env: Record<string, string> = { ...inheritedEnvironment(parentEnv), ...retries(parentEnv), ...variables };
  const argv = [
    ...STREAM_JSON_ARGUMENTS,
    NO_TRANSCRIPT,
    ...ISOLATION_ARGUMENTS,
    "--tools",
    "",
    "--permission-mode",
    ISOLATION_PERMISSION_MODE,
    "--settings",
    writeFile("settings.json", JSON.stringify(isolationSettings(variables))),
    "--system-prompt-file",
    writeFile("system-prompt.md", request.system || NO_SYSTEM_PROMPT),
    "--effort",
    request.effort ?? config.effort,
    ...(request.model ? ["--model", request.model] : []),
  ];
  return { argv, env, cwd };
}
