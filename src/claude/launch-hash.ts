/** Tells whether a running process was started with the choices that a request makes. */
import type { Config } from "../config/schema.ts";
import type { LaunchChoice } from "./launch-spec.ts";
import { systemPrompt } from "./system-prompt.ts";

/** Whether two choices start the same process. Each turn asks, and nearly always nothing has changed. */
export const isSameLaunch = (one: LaunchChoice, other: LaunchChoice, config: Config): boolean =>
  Bun.deepEquals(one, other) || launchHash(one, config) === launchHash(other, config);

/** The same for what a stream process cannot change while it runs: everything but model and effort. */
export const isSameFixedLaunch = (one: LaunchChoice, other: LaunchChoice, config: Config): boolean =>
  isSameLaunch({ ...one, model: null, effort: null }, { ...other, model: null, effort: null }, config);

/** A hash of everything a process is started with that can be chosen. A process with another hash must be restarted. */
export function launchHash(choice: LaunchChoice, config: Config): string {
  const { permissionMode, allowedTools, effort, useApiKey, reply } = config;
  const all = [
    choice.workspace,
    choice.model,
    choice.effort ?? effort,
    systemPrompt(choice, config),
    choice.isIsolated,
    choice.claudeTools,
    config.systemPrompt,
    permissionMode,
    allowedTools,
    useApiKey,
    reply,
  ];
  return Bun.hash(JSON.stringify(all)).toString(16);
}
