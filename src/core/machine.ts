/** What this machine has. */
import { totalmem } from "node:os";
import { constrainedMemory } from "node:process";

export const MEGABYTE = 1024 * 1024;

/** The memory of this machine, or of the container that holds us, in bytes. */
export function machineMemory(): number {
  const limit = constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
