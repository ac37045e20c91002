/** `synthesis sweep`: kills the orphans of a killed server. Its watchdog runs this command; users need not. */
import { Command } from "commander";
import { killOrphans, killProcesses, waitForOrphans } from "../claude/pool/orphans.ts";
import { pathsFor } from "../config/paths.ts";
import { acquireLock } from "../store/lock.ts";

/** An agent process exits by itself about two seconds after its terminal is closed. */
const EXIT_TIMEOUT_MS = 5_000;

export const sweepCommand = () =>
  new Command("sweep")
    .description("kill the agent processes of a killed server (started automatically)")
    .option("--home <folder>", "state folder")
    .option("--at-once", "although the server runs: its lease has ended")
    .action(async ({ home, atOnce }: { home?: string; atOnce?: boolean }) => {
      const paths = pathsFor(home);
      if (atOnce) {
        killProcesses(paths.run);
        return;
      }
      await waitForOrphans(paths.run, EXIT_TIMEOUT_MS);
      const result = acquireLock(paths.lock, true);
      // Another server has started, and has killed the orphans.
      if ("heldBy" in result) return;
      killOrphans(paths.run);
      result.lock.release();
    });
