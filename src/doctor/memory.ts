/** Checks that the memory settings fit the machine and each other. */
import { TYPICAL_BYTES } from "../claude/pool/slots.ts";
import type { Config } from "../config/schema.ts";
import { MEGABYTE, machineMemory } from "../core/machine.ts";
import { type Check, subject } from "./check.ts";

const memory = subject("memory");
const TYPICAL_MB = TYPICAL_BYTES / MEGABYTE;

export function memoryCheck({ memoryMb, maxProcesses, spares }: Config): Check {
  const machineMb = Math.round(machineMemory() / MEGABYTE);
  const found = `${memoryMb} of ${machineMb} MB for at most ${maxProcesses} agent processes, ${spares} of them spare`;
  if (memoryMb > machineMb) return memory.warning("exceeds_machine", found, "Lower SYNTHESIS_MEMORY_MB.");
  if (memoryMb < TYPICAL_MB) {
    return memory.warning(
      "too_little",
      found,
      `One agent process needs about ${TYPICAL_MB} MB, so only one will run at a time. Raise SYNTHESIS_MEMORY_MB.`,
    );
  }
  if (spares >= maxProcesses) {
    return memory.warning(
      "too_many_spares",
      found,
      "Spare processes count towards SYNTHESIS_MAX_PROCESSES, and conversations come first. Raise it, or lower " +
        "SYNTHESIS_SPARES.",
    );
  }
  return memory.ok(`${found}; \`--live\` measures what one process takes`);
}
