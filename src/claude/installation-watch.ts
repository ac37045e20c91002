/**
 * Checks from time to time whether Claude Code is logged in, and notices that it was updated, so that `/health`, `/ready`
 * and a notification know of a lost login before a message fails. One check takes 0.3 s of CPU.
 */
import { getLogger } from "@logtape/logtape";
import type { Config } from "../config/schema.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { withheldKey } from "./api-key.ts";
import { claudeAuth, claudeVersion, findExecutable, programId } from "./executable.ts";
import type { Login } from "./login.ts";

const log = getLogger(["synthesis", "claude"]);

/** Between two checks, in ms. An answer of the model within this time proves more, and replaces the check. */
const INTERVAL_MS = 10 * 60_000;
/** Between two checks while the login is lost, in ms: a person may be about to log in. */
const LOST_INTERVAL_MS = 60_000;

interface InstallationWatchDeps {
  readonly config: Pick<Config, "claudeBin" | "workspace" | "useApiKey">;
  readonly env: Record<string, string | undefined>;
  readonly login: Login;
  /** Is called with the version of a program that replaced the one before. */
  readonly onVersion: (version: string) => void;
  readonly clock?: Clock;
}

/** Starts to watch. @returns stops it; resolves when no check runs any more */
export function watchInstallation(deps: InstallationWatchDeps): () => Promise<void> {
  const { config, env, login, onVersion, clock = systemClock } = deps;
  const stopping = new AbortController();
  const first = findExecutable(config.claudeBin, env);
  let program = first && programId(first);
  let running: Promise<void> | null = null;
  let cancel = () => {};

  async function look(): Promise<void> {
    const path = findExecutable(config.claudeBin, env);
    if (path === null) return;
    const current = programId(path);
    if (current !== program) {
      const version = await claudeVersion(path, env, stopping.signal);
      // A program that is being replaced does not answer. The next check asks it again.
      if (version !== null) {
        program = current;
        log.info("claude was replaced by version {version}", { version });
        onVersion(version);
      }
    }
    if (login.state === "ok" && clock.now() - login.testedAt < INTERVAL_MS) return;
    const askedAt = clock.now();
    const withheld = withheldKey(config.workspace, env, config.useApiKey);
    const report = await claudeAuth(path, env, config.workspace, withheld, stopping.signal);
    if (report && !stopping.signal.aborted) login.noteReport(report, askedAt);
  }

  function schedule(): void {
    cancel();
    if (!stopping.signal.aborted) cancel = clock.after(login.state === "expired" ? LOST_INTERVAL_MS : INTERVAL_MS, run);
  }

  function run(): void {
    cancel();
    running ??= look()
      .catch((error) => log.error("the login of claude could not be checked: {error}", { error }))
      .finally(() => {
        running = null;
        schedule();
      });
  }

  login.onChange((state) => {
    log[state === "expired" ? "warning" : "info"]("login of claude: {state}", { state });
    // The first check after a rejection shows what is stored then. Another login is noticed by the difference.
    if (state === "expired" && !stopping.signal.aborted) run();
  });
  schedule();
  return async () => {
    stopping.abort();
    cancel();
    await running;
  };
}
