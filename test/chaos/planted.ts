/**
 * `bun run test:chaos --planted`: faults that are planted on purpose, one at a time, in a copy of the project. The
 * suite must catch each; a suite that cannot fail says nothing.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
/** If it is not caught within so many seeds, it is not caught. */
const SEEDS = 100;

type Fault = readonly [what: string, file: string, code: string, instead: string];

export const PLANTED: readonly Fault[] = [
  [
    "a message that was not received is sent again as if it were the first time",
    "turn/runner.ts",
    "!this.#again && this.#send(true)",
    "!this.#again && this.#send()",
  ],
  [
    "a turn that fails takes the next message with it",
    "conversation/conversation.ts",
    "this.#serving = null;",
    "this.#serving = null;\n      if (error) this.#queue.shift();",
  ],
  [
    "a resumed claude is given another session",
    "claude/interactive/launch.ts",
    'spec.resume ? "--resume" : "--session-id",\n      spec.claudeSession,',
    'spec.resume ? "--resume" : "--session-id",\n      spec.resume ? crypto.randomUUID() : spec.claudeSession,',
  ],
  [
    "a piece that comes twice is shown twice",
    "turn/text-assembler.ts",
    'if (piece.index < known.next || known.early.has(piece.index)) return [answer, ""];',
    "if (piece.index < known.next) return release({ ...answer, messages: answer.messages.with(at, { ...known, waiting: piece.text }) });",
  ],
  [
    "what a claude has started outlives it",
    "claude/interactive/process.ts",
    "killMarked(markOf(this.#place.folder));",
    "",
  ],
  [
    "a turn that a killed server left in the middle stays open",
    "store/turns.ts",
    '.where(inArray(turns.state, ["sent", "running"]))',
    ".where(inArray(turns.state, []))",
  ],
  [
    "a message is not looked for in the record of a claude that died",
    "turn/runner.ts",
    "if (this.#awaitsReceipt) await this.#findReceipt();",
    "",
  ],
  [
    "what no hook has shown is left out",
    "turn/text-assembler.ts",
    "const rest = whole.slice(answer.text.length);",
    'const rest = "";',
  ],
  [
    "the watch of a claude's log is never closed",
    "claude/interactive/boot.ts",
    "this.#debugLog.close();\n    this.#closeScreen();",
    "this.#closeScreen();",
  ],
];

/** Plants a fault in the project in `folder`. @throws Error when its place is not there, or not the only one */
export function plant([, file, code, instead]: Fault, folder: string): void {
  const path = join(folder, "src", file);
  const parts = readFileSync(path, "utf8").split(code);
  if (parts.length !== 2) throw new Error(`${file} does not have this once: ${code}`);
  writeFileSync(path, parts.join(instead));
}

/** @returns how many were not caught */
export async function plantAll(): Promise<number> {
  let missed = 0;
  for (const fault of PLANTED) {
    const [what] = fault;
    const copy = mkdtempSync(join(tmpdir(), "synthesis-planted-"));
    for (const part of ["src", "test", "package.json", "tsconfig.json"]) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    plant(fault, copy);
    const run = [process.execPath, "test/chaos/chaos.ts", "--seeds", `${SEEDS}`, "--first"];
    const child = Bun.spawn(run, { cwd: copy, stdout: "pipe", stderr: "inherit" });
    const output = await child.stdout.text();
    const caught = /^seed (\d+) failed: (.*)/m.exec(output);
    console.log(`${what}: ${caught ? `caught by seed ${caught[1]}: ${caught[2]}` : "NOT CAUGHT"}`);
    if (!caught) missed += 1;
    rmSync(copy, { recursive: true });
  }
  return missed;
}
