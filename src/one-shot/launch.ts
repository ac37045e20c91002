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
} from "../claude/isolation.ts";
import { makeMarkedFolder } from "../claude/marked-folder.ts";
import { MARK_VARIABLE } from "../claude/process-mark.ts";
import type { Config } from "../config/schema.ts";
import type { DialogueTurn } from "../core/dialogue.ts";
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
    "--print",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--include-partial-messages",
    "--verbose",
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

/**
 * The input of the process, in steps: one now, and one each time Claude Code has read a message.
 *
 * Every message but the last is only added to the conversation (`shouldQuery: false`). Claude Code reports when that is
 * done. The answer of the assistant that follows must not be written before that, or it would come first. All messages
 * are `client_composed`: otherwise Claude Code would take a leading `/` for a command of its own, and read every file
 * that is named after an `@`.
 */
export function inputSteps({ turns, claudeSchema }: OneShotRequest): string[] {
  const steps: string[] = [];
  let step = "";
  if (claudeSchema) {
    const request = { subtype: "initialize", jsonSchema: claudeSchema };
    step = jsonLine({ type: "control_request", request_id: "initialize", request });
  }
  turns.forEach(({ role, content }: DialogueTurn, index) => {
    const message = { role, content };
    if (role === "assistant") step += jsonLine({ type: "assistant", message });
    else {
      const query = index === turns.length - 1 ? {} : { shouldQuery: false };
      steps.push(step + jsonLine({ type: "user", client_composed: true, ...query, message }));
      step = "";
    }
  });
  return steps;
}

/** The input that asks for another answer. */
export const repairStep = (note: string): string => {
  const message = { role: "user", content: [{ type: "text", text: note }] };
  return jsonLine({ type: "user", client_composed: true, message });
};

const jsonLine = (value: object): string => `${JSON.stringify(value)}\n`;
