/** Why a stream process did not become ready, as errors for the client. */

import type { Exit } from "../agent-process.ts";
import { BootFailure } from "../boot-failure.ts";

export const startTimeout = (ms: number): BootFailure =>
  new BootFailure(
    "timeout",
    `Claude Code was not ready after ${ms} ms. Send the message again; SYNTHESIS_READY_TIMEOUT_MS gives it more time.`,
    { retryAfter: 30 },
  );

export const startStopped = (): BootFailure =>
  new BootFailure("stopped", "Claude Code was stopped before it was ready. Send the message again.", { retryAfter: 1 });

/** @param what Claude Code refused, and why */
export const startRefused = (what: string): BootFailure =>
  new BootFailure("exited", `Claude Code could not be initialized: ${what}. Run \`synthesis doctor --live\`.`);

/** @param stderr the end of what the process has written to stderr */
export function exitedAtStart({ code, signal }: Exit, stderr: string): BootFailure {
  const reason = /No conversation found with session ID/.test(stderr) ? "session_not_found" : "exited";
  const summary =
    `Claude Code exited while it started (${signal ?? `exit code ${code}`}). Run \`synthesis doctor --live\` to find ` +
    `the cause.${stderr === "" ? "" : ` It wrote: ${stderr}`}`;
  return new BootFailure(reason, summary, { retryAfter: signal === null ? undefined : 5 });
}
