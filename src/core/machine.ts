/** The resources of this machine. */
import { totalmem } from "node:os";
import { constrainedMemory } from "node:process";

export const MEGABYTE = 1024 * 1024;

/** The memory of this machine or of the container in which the server runs, in bytes. */
export function machineMemory(): number {
  const limit = constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
