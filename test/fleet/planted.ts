/** `bun run test:storms --planted`: plants one bug at a time in a copy of the project. The storms must catch each of them. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Fault, plant } from "../chaos/planted.ts";

const root = join(import.meta.dir, "../..");
/** A fault that no seed up to this one catches counts as not caught. */
const SEEDS = 25;

export const PLANTED: readonly Fault[] = [
  ["no watchdog ends the claudes of a server that stands still", "fleet/watchdog.ts", 'then "$@"; kill', "then kill"],
  [
    "a conversation is claimed although the lease of its node holds",
    "fleet/claims.ts",
    "WHERE claims.node IS NULL OR claims.node = excluded.node",
    "",
  ],
  [
    "the bytes of a transcript are not committed",
    "fleet/held.ts",
    "withFiles ? await files.changes(current) : null",
    "null",
  ],
  [
    "an answer ends before it is committed",
    "conversation/registry.ts",
    "await records.recordAnswer(",
    "void records.recordAnswer(",
  ],
];

/** @returns how many faults were not caught */
export async function plantAll(): Promise<number> {
  let missed = 0;
  for (const fault of PLANTED) {
    const copy = mkdtempSync(join(tmpdir(), "synthesis-planted-"));
    for (const part of ["src", "test", "package.json", "tsconfig.json"]) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    plant(fault, copy);
    const run = [process.execPath, "test/fleet/storms.ts", "--seeds", `${SEEDS}`, "--first"];
    const child = Bun.spawn(run, { cwd: copy, stdout: "pipe", stderr: "inherit" });
    const caught = /^seed (\d+) failed: (.*)/m.exec(await child.stdout.text());
    console.log(`${fault[0]}: ${caught ? `caught by seed ${caught[1]}: ${caught[2]}` : "NOT CAUGHT"}`);
    if (!caught) missed += 1;
    rmSync(copy, { recursive: true });
  }
  return missed;
}
