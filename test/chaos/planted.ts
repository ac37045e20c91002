/**
 * `bun run test:chaos --planted`: plants one bug at a time in a copy of the project. The suite must catch each of them;
 * a suite that cannot fail proves nothing.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
/** A fault that no seed up to this one catches counts as not caught. */
const SEEDS = 100;

type Fault = readonly [what: string, file: string, code: string, instead: string];

export const PLANTED: readonly Fault[] = [
  [
    "a message without a receipt is sent again without the `again` mark",
    "turn/receipt.ts",
    "!this.#wasSentAgain && this.send(true)",
    "!this.#wasSentAgain && this.send()",
  ],
  [
    "a failed turn also drops the next message in the queue",
    "conversation/conversation.ts",
    "this.#serving = null;",
    "this.#serving = null;\n      if (error) this.#queue.shift();",
  ],
  [
    "a resumed claude gets another session id",
    "claude/launch-arguments.ts",
    'spec.resume ? "--resume" : "--session-id",\n  spec.claudeSession,',
    'spec.resume ? "--resume" : "--session-id",\n  spec.resume ? crypto.randomUUID() : spec.claudeSession,',
  ],
  [
    "a delta that arrives twice is shown twice",
    "turn/text-assembler.ts",
    'if (delta.index < known.nextIndex || known.early.has(delta.index)) return [answer, ""];',
    "if (delta.index < known.nextIndex) return release({ ...answer, messages: answer.messages.with(at, { ...known, waiting: delta.text }) });",
  ],
  ["a child process of claude outlives it", "claude/exit-cleanup.ts", "killMarked(markOf(folder));", ""],
  [
    "a turn that a killed server left unfinished stays open",
    "store/recovery.ts",
    '.where(inArray(turns.state, ["sent", "running"]))',
    ".where(inArray(turns.state, []))",
  ],
  [
    "the transcript of a dead claude is not searched for the message",
    "turn/runner.ts",
    "if (awaitsReceipt(this.#loop.state)) await this.#receipt.find();",
    "",
  ],
  [
    "text that no hook posted is left out",
    "turn/text-assembler.ts",
    "const rest = whole.slice(answer.text.length);",
    'const rest = "";',
  ],
  [
    "the watch on Claude's debug log is never closed",
    "claude/interactive/boot.ts",
    "this.#debugLog.close();\n    this.#closeScreen();",
    "this.#closeScreen();",
  ],
];

/** Plants a fault in the project in `folder`. @throws Error when the quoted code is not there exactly once */
export function plant([, file, code, instead]: Fault, folder: string): void {
  const path = join(folder, "src", file);
  const parts = readFileSync(path, "utf8").split(code);
  if (parts.length !== 2) throw new Error(`${file} does not have exactly one copy of: ${code}`);
  writeFileSync(path, parts.join(instead));
}

/** Runs the suite once per planted fault. @returns how many were not caught */
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
