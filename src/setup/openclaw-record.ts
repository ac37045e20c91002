/** The record of what `synthesis setup openclaw` has changed, from which `--remove` undoes it. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import type { Paths } from "../config/paths.ts";

const record = z.object({
  /** The path of the OpenClaw program, if it was given. */
  program: z.string().nullable(),
  /** Where OpenClaw reaches the server, if it is not on this machine. */
  baseUrl: z.string().nullable().default(null),
  /** The default model before the setup. */
  formerModel: z.string().nullable(),
  /** The allowed roots that the setup added. */
  addedRoots: z.array(z.string()),
  /** Whether the configuration file had allowed roots before. */
  hadRoots: z.boolean(),
});
export type SetupRecord = z.infer<typeof record>;

/** The record of an earlier setup; null when it is missing or cannot be read. */
export function readRecord({ openClawRecord }: Paths): SetupRecord | null {
  if (!existsSync(openClawRecord)) return null;
  try {
    return record.parse(JSON.parse(readFileSync(openClawRecord, "utf8")));
  } catch {
    // Without a readable record, a removal leaves everything that it cannot recognise as ours.
    return null;
  }
}

export const writeRecord = ({ openClawRecord }: Paths, value: SetupRecord): void =>
  writeFileSync(openClawRecord, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
