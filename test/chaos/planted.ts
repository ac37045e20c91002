/**
 * `bun run test:chaos --planted`: plants one bug at a time in a copy of the project. The suite must catch each of them;
 * a suite that cannot fail proves nothing.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Engine } from "../../src/claude/agent-process.ts";

const root = join(import.meta.dir, "../..");
/** A fault that no seed up to this one catches counts as not caught. */
const SEEDS = 100;

/** Without `only` it is a fault on both engines. */
export type Fault = readonly [what: string, file: string, code: string, instead: string, only?: Engine];

export const PLANTED: readonly Fault[] = [
  [
    "a message without a receipt is sent again without the `again` mark",
    "turn/receipt.ts",
    "!this.#wasSentAgain && this.send(true)",
    "!this.#wasSentAgain && this.send()",
    "interactive",
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
    "interactive",
  ],
  ["a child process of claude outlives it", "claude/exit-cleanup.ts", "killMarked(markOf(folder));", ""],
  [
    "a turn that a killed server left unfinished stays open",
    "store/recovery.ts",
    'and(inArray(turns.state, ["sent", "running"]), keys',
    "and(inArray(turns.state, []), keys",
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
    "withBreak(answer, whole.slice(answer.text.length));",
    '"";',
    "interactive",
  ],
  [
    "the watch on Claude's debug log is never closed",
    "claude/interactive/boot.ts",
    "this.#debugLog.close();\n    this.#closeScreen();",
    "this.#closeScreen();",
    "interactive",
  ],
  [
    "the receipt is ignored",
    "claude/stream/translator.ts",
    'if (state === "started") return this.#start(id);',
    'if (state === "started") {\n      this.#start(id);\n      return [];\n    }',
    "stream",
  ],
  [
    "the result of another turn ends the turn",
    "claude/stream/translator.ts",
    "if (this.#current === null || !line.user_message_uuids.includes(this.#current)) return [];",
    "if (this.#current === null) return [];",
    "stream",
  ],
  [
    "a turn without a result stays open",
    "claude/stream/translator.ts",
    "if (!isOver) return [];",
    "if (true) return [];",
    "stream",
  ],
  [
    "a text that is repeated after a broken stream is shown twice",
    "claude/stream/translator.ts",
    "shown = text.slice(this.#abandoned.length);",
    "shown = text;",
    "stream",
  ],
  [
    "a control request that is not supported gets no response",
    "claude/stream/claude-requests.ts",
    "this.#deps.write(controlErrorLine(id, why));",
    "void [id, why];",
    "stream",
  ],
  [
    "a permission prompt gets no verdict",
    "claude/stream/claude-requests.ts",
    "if (response) write(",
    'if (response && request.subtype !== "can_use_tool") write(',
    "stream",
  ],
];

/** Plants a fault in the project in `folder`. @throws Error when the quoted code is not there exactly once */
export function plant([, file, code, instead]: Fault, folder: string): void {
  const path = join(folder, "src", file);
  const parts = readFileSync(path, "utf8").split(code);
  if (parts.length !== 2) throw new Error(`${file} does not have exactly one copy of: ${code}`);
  writeFileSync(path, parts.join(instead));
}

/** Runs the suite on an engine once per planted fault. @returns how many were not caught */
export async function plantAll(engine: Engine): Promise<number> {
  let missed = 0;
  for (const fault of PLANTED) {
    const [what, , , , only = engine] = fault;
    if (only !== engine) continue;
    const copy = mkdtempSync(join(tmpdir(), "synthesis-planted-"));
    for (const part of ["src", "test", "package.json", "tsconfig.json"]) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    plant(fault, copy);
    const run = [process.execPath, "test/chaos/chaos.ts", "--engine", engine, "--seeds", `${SEEDS}`, "--first"];
    const child = Bun.spawn(run, { cwd: copy, stdout: "pipe", stderr: "inherit" });
    const output = await child.stdout.text();
    const caught = /^seed (\d+) failed: (.*)/m.exec(output);
    console.log(`${what}: ${caught ? `caught by seed ${caught[1]}: ${caught[2]}` : "NOT CAUGHT"}`);
    if (!caught) missed += 1;
    rmSync(copy, { recursive: true });
  }
  return missed;
}
