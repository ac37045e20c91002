/** `synthesis sweep`: clears what a killed server has left. Its guard runs it; people need not. */
import { Command } from "commander";
import { killOrphans, waitForOrphans } from "../claude/pool/orphans.ts";
import { pathsFor } from "../config/paths.ts";
import { acquireLock } from "../store/lock.ts";

/** A claude whose terminal is gone takes about two seconds to end by itself. */
const PATIENCE_MS = 5_000;

export const sweepCommand = () =>
  new Command("sweep")
    .description("end what a killed server has left running (done by itself)")
    .option("--home <folder>", "state folder")
    .action(async ({ home }: { home?: string }) => {
      const paths = pathsFor(home);
      await waitForOrphans(paths.run, PATIENCE_MS);
      const result = acquireLock(paths.lock, true);
      // Another server has started, and has cleared it.
      if ("heldBy" in result) return;
      killOrphans(paths.run);
      result.lock.release();
    });
