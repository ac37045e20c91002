/**
 * What Claude Code last did with our channel: registered it, or refused it. It is kept in a file, so that a server that
 * is started again knows it before its first message.
 */
import { writeFileSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import type { Clock } from "../core/clock.ts";
import { configFolder } from "./config-folder.ts";
import { findExecutable, programId } from "./executable.ts";
import { readJsonFile } from "./json-file.ts";

const log = getLogger(["synthesis", "claude"]);

/** After this long, in ms, a refusal is looked at again. */
const REFUSAL_MS = 60 * 60_000;

const schema = z.object({
  /** Which Claude Code it was: its program, and where it keeps its login. */
  claude: z.string(),
  /** Why Claude Code refused the channel; null when it registered it. */
  refusal: z.string().nullable(),
  /** In Unix milliseconds, since it outlives the server. */
  at: z.number(),
});
type Entry = z.infer<typeof schema>;

interface RecordDeps {
  readonly file: string;
  readonly claudeBin: string;
  readonly env: Record<string, string | undefined>;
  readonly clock: Pick<Clock, "wallTime">;
}

export class ChannelRecord {
  readonly #deps: RecordDeps;
  #last: Entry | null;

  constructor(deps: RecordDeps) {
    this.#deps = deps;
    const entry = schema.safeParse(readJsonFile(deps.file));
    this.#last = entry.success ? entry.data : null;
  }

  /** Why Claude Code last refused the channel; null when it did not, or was never started in a terminal. */
  get refusal(): string | null {
    return this.#last?.refusal ?? null;
  }

  /** Whether a start in a terminal would tell more: nothing is known, Claude Code was replaced, or a refusal is old. */
  get isOutdated(): boolean {
    if (this.#last === null || this.#last.claude !== this.#claude()) return true;
    const age = this.#deps.clock.wallTime() - this.#last.at;
    // The clock may have been set back.
    return this.#last.refusal !== null && (age < 0 || age >= REFUSAL_MS);
  }

  /** @param refusal why Claude Code refused the channel; null when it registered it */
  note(refusal: string | null): void {
    const claude = this.#claude();
    // A registered channel is the usual case, which needs no write at each start.
    if (refusal === null && this.#last?.refusal === null && this.#last.claude === claude) return;
    this.#last = { claude, refusal, at: this.#deps.clock.wallTime() };
    try {
      writeFileSync(this.#deps.file, JSON.stringify(this.#last), { mode: 0o600 });
    } catch (error) {
      // This server remembers it. The next one finds it out again.
      log.warning("whether channels work could not be recorded: {error}", { file: this.#deps.file, error });
    }
  }

  /** Changes when Claude Code is updated, or uses another login. */
  #claude(): string {
    const { claudeBin, env } = this.#deps;
    const program = findExecutable(claudeBin, env);
    return [program && programId(program), configFolder(env)].join(" ");
  }
}
