/**
 * claude's own word on whether it works: `<config>/sessions/<pid>.json`, which it keeps while it runs.
 * (Only these files are read: beside them lie keys that are none of our business.)
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { configFolder } from "./transcript.ts";
import { type Watch, watchChanges } from "./watch.ts";

export interface SessionStatus {
  readonly status: string;
  /** When it became that, Unix time in ms. */
  readonly since: number;
}

const session = z.looseObject({ status: z.string(), statusUpdatedAt: z.number() });

/** The folder of all session files, watched once for all claudes. */
export class SessionFolder {
  readonly #folder: string;
  readonly #listeners = new Map<string, () => void>();
  #watch: Watch | undefined;

  constructor(env: Record<string, string | undefined>) {
    this.#folder = join(configFolder(env), "sessions");
  }

  /** What the file of the claude with this process id says; null when it says nothing that can be read. */
  read(pid: number): SessionStatus | null {
    try {
      const file = readFileSync(join(this.#folder, `${pid}.json`), "utf8");
      const { status, statusUpdatedAt } = session.parse(JSON.parse(file));
      return { status, since: statusUpdatedAt };
    } catch {
      // Not there, or half written: the next change announces itself.
      return null;
    }
  }

  /** Calls `onChange` when that file may have changed, until the function it gives is called. */
  watch(pid: number, onChange: () => void): () => void {
    // Made by the first claude that ever runs.
    if (!this.#watch && existsSync(this.#folder)) {
      this.#watch = watchChanges(this.#folder, (file) => {
        if (file === null) for (const listener of this.#listeners.values()) listener();
        else this.#listeners.get(file)?.();
      });
    }
    this.#listeners.set(`${pid}.json`, onChange);
    return () => this.#listeners.delete(`${pid}.json`);
  }

  close(): void {
    this.#watch?.close();
  }
}
