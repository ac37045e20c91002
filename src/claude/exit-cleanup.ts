/** Removes what a process leaves behind when it exits: programs that it has started, and its folder. */
import { rmSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { killGroup, killMarked, markOf } from "./process-mark.ts";

const log = getLogger(["synthesis", "process"]);

/** @param folder the folder of the process, whose name is also its mark */
export function cleanUpAfterExit(pid: number, folder: string): void {
  try {
    killGroup(pid);
    killMarked(markOf(folder));
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    // The conversation does not depend on this. The next start of the server cleans up again.
    log.error("processes or files of an exited claude could not be removed: {error}", { pid, error });
  }
}
