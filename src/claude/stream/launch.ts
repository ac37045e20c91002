/** How a Claude Code process with stream-json is started: its arguments, its environment, and the files they name. */
import { rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Config } from "../../config/schema.ts";
import { withheldKey } from "../api-key.ts";
import { inheritedEnvironment, retries, UNATTENDED } from "../environment.ts";
import { requireExecutable } from "../executable.ts";
import {
  ISOLATION_ARGUMENTS,
  ISOLATION_PERMISSION_MODE,
  ISOLATION_VARIABLES,
  isolationSettings,
  NO_TRANSCRIPT,
} from "../isolation.ts";
import { commonArguments } from "../launch-arguments.ts";
import { launchSettings, mcpLimits } from "../launch-settings.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import { makeMarkedFolder } from "../marked-folder.ts";
import { MARK_VARIABLE } from "../process-mark.ts";
import { proxyExceptions } from "../proxy-exceptions.ts";
import { STREAM_JSON_ARGUMENTS } from "./protocol.ts";

/** Permission prompts are control requests. */
const PROMPTS_AS_REQUESTS = ["--permission-prompt-tool", "stdio"] as const;

export interface StreamLaunch {
  readonly argv: string[];
  readonly env: Record<string, string>;
}

/**
 * Writes the settings of one process and returns the command to start it.
 * @param folder the process's own folder, made here with mode 0700; its name, a uuid, is also the process mark
 * @param deny permission rules that keep Claude's tools from the server's own files
 * @throws RequestError (`claude_not_found`) when there is no such program
 */
export function prepareLaunch(
  spec: LaunchSpec,
  folder: string,
  deny: readonly string[],
  config: Config,
  parentEnv: Record<string, string | undefined>,
): StreamLaunch {
  const executable = requireExecutable(config, parentEnv);
  const variables = {
    [MARK_VARIABLE]: basename(folder),
    SYNTHESIS_OPENCLAW_SESSION: spec.sessionKey,
    ...UNATTENDED,
    ...mcpLimits(config),
    ...proxyExceptions(spec.choice.workspace, parentEnv),
    ...withheldKey(spec.choice.workspace, parentEnv, config.useApiKey),
    ...(spec.choice.isIsolated ? ISOLATION_VARIABLES : {}),
  };
  try {
    makeMarkedFolder(folder);
    const settings = join(folder, "settings.json");
    const { isIsolated } = spec.choice;
    const content = isIsolated ? isolationSettings(variables) : launchSettings(spec, variables, deny);
    writeFileSync(settings, JSON.stringify(content), { mode: 0o600 });
    return {
      argv: [
        executable,
        ...STREAM_JSON_ARGUMENTS,
        ...PROMPTS_AS_REQUESTS,
        ...(isIsolated
          ? [
              ...(spec.isUnnamed ? [NO_TRANSCRIPT] : []),
              ...ISOLATION_ARGUMENTS,
              ...commonArguments(spec, config, settings, ISOLATION_PERMISSION_MODE),
            ]
          : commonArguments(spec, config, settings)),
      ],
      env: {
        ...inheritedEnvironment(parentEnv),
        ...retries(parentEnv),
        ...variables,
      },
    };
  } catch (error) {
    // The disk may be full. No process starts now, so nothing else would remove what was written.
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}
