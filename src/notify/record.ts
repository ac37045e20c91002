/** What the receiver has been notified of, in a file, so that a restarted server does not repeat it. */
import { writeFileSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import { readJsonFile } from "../claude/json-file.ts";

const log = getLogger(["synthesis", "notify"]);

const schema = z.object({
  /** The highest threshold of each window of the plan, by its name. */
  windows: z.record(z.string(), z.object({ threshold: z.number(), resetsAt: z.number().nullable() })),
  /** The login is lost. */
  loginLost: z.boolean(),
  /** Claude Code refuses channels. */
  channelsRefused: z.boolean(),
  /** The newest version of Claude Code that is newer than the tested ones. */
  untestedClaude: z.string().nullable(),
  /** Where a damaged database was moved, until the receiver has been notified of it. */
  undeliveredQuarantine: z.string().nullable(),
});

type RecordState = z.infer<typeof schema>;

const NOTHING: RecordState = {
  windows: {},
  loginLost: false,
  channelsRefused: false,
  untestedClaude: null,
  undeliveredQuarantine: null,
};

export class NotificationRecord {
  readonly #file: string;
  #state: RecordState;

  constructor(file: string) {
    this.#file = file;
    const read = schema.safeParse(readJsonFile(file));
    this.#state = read.success ? read.data : NOTHING;
  }

  get state(): RecordState {
    return this.#state;
  }

  note(change: Partial<RecordState>): void {
    this.#state = { ...this.#state, ...change };
    try {
      writeFileSync(this.#file, JSON.stringify(this.#state), { mode: 0o600 });
    } catch (error) {
      // This server remembers it. The next one may send it again.
      log.warning(
        "the delivery of a notification could not be recorded, and may be repeated after a restart: {error}",
        { file: this.#file, error },
      );
    }
  }
}
