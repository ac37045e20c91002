/**
 * The file that every running `claude` keeps about itself: `<config>/sessions/<pid>.json`. It says whether Claude works,
 * and which Claude session the process has open. Claude Code allows two processes on one session, although both write
 * into its transcript, so synthesis checks that itself. No other file of the folder is read.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Clock, systemClock } from "../core/clock.ts";
import { isRunning } from "../core/is-running.ts";
import { parseJson } from "../core/json-gate.ts";
import { readSmallFile } from "../core/regular-file.ts";
import { type Watch, watchChanges } from "../core/watch-file.ts";
import { sessionsFolder } from "./config-folder.ts";

/** A status that was read is used again for this time, in ms, unless its file is reported to have changed. */
const KNOWN_MS = 100;

/** How often, and at which interval in ms, to check whether another process that has the session open exits. */
const RIVAL_CHECKS = 10;
const RIVAL_CHECK_MS = 100;

export interface SessionStatus {
  readonly status: string;
  /** When the process got this status, Unix time in ms. */
  readonly since: number;
}

const sessionSchema = z.object({
  pid: z.number(),
  sessionId: z.string(),
  /** Unix time in ms. */
  startedAt: z.number(),
  /** On Linux, the start time of the process as in `/proc`, in clock ticks. */
  procStart: z.string().optional(),
  /** Missing before the process is ready. */
  status: z.string().optional(),
  statusUpdatedAt: z.number().optional(),
});
type SessionFile = z.infer<typeof sessionSchema>;

/** One of our processes, and what to call when something changes. */
export interface SessionListener {
  readonly pid: number;
  readonly claudeSession: string;
  /** The process's own file may have changed. */
  onChange(): void;
  /** Another process has opened the same Claude session. */
  onRival(pid: number): void;
}

/** The folder of all session files. It is watched once for all processes. */
export class SessionFolder {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, SessionListener>();
  /** The statuses that were read since the last change of their files: one change makes several parts of a turn ask. */
  readonly #known = new Map<string, { readonly status: SessionStatus | null; readonly at: number }>();
  #watch: Watch | undefined;

  constructor(env: Record<string, string | undefined>, clock: Clock = systemClock) {
    this.#folder = sessionsFolder(env);
    this.#clock = clock;
  }

  /** The status of the process with this id; null when it has no readable file or no status yet. */
  read(pid: number): SessionStatus | null {
    const name = `${pid}.json`;
    const known = this.#known.get(name);
    const now = this.#clock.now();
    if (known && now - known.at < KNOWN_MS) return known.status;
    const status = statusIn(this.#parse(name));
    // The changes of other files are not reported.
    if (this.#watch && this.#listeners.has(name)) this.#known.set(name, { status, at: now });
    return status;
  }

  /** The id of a process that has this Claude session open; null when there is none, or it exits within a second. */
  async findRival(claudeSession: string): Promise<number | null> {
    for (let checks = 0; ; checks += 1) {
      const pid = this.#holderOf(claudeSession);
      if (pid === null || checks === RIVAL_CHECKS) return pid;
      await Bun.sleep(RIVAL_CHECK_MS);
    }
  }

  #holderOf(claudeSession: string): number | null {
    for (const name of this.#names()) {
      const file = this.#parse(name);
      if (file?.sessionId === claudeSession && isAlive(file)) return file.pid;
    }
    return null;
  }

  /** Adds a listener. @returns removes it again */
  watch(listener: SessionListener): () => void {
    // The first Claude Code process of this user creates the folder.
    if (!this.#watch && existsSync(this.#folder)) {
      this.#watch = watchChanges(this.#folder, (name) => {
        for (const one of name === null ? this.#names() : [name]) this.#notify(one);
      });
    }
    const name = `${listener.pid}.json`;
    this.#listeners.set(name, listener);
    return () => {
      this.#listeners.delete(name);
      this.#known.delete(name);
    };
  }

  close(): void {
    this.#watch?.close();
  }

  #names(): string[] {
    return existsSync(this.#folder) ? readdirSync(this.#folder).filter((name) => /^\d+\.json$/.test(name)) : [];
  }

  #notify(name: string): void {
    this.#known.delete(name);
    const own = this.#listeners.get(name);
    if (own) own.onChange();
    else if (/^\d+\.json$/.test(name)) {
      const file = this.#parse(name);
      if (!file) return;
      for (const listener of this.#listeners.values()) {
        if (listener.claudeSession === file.sessionId) listener.onRival(file.pid);
      }
    }
  }

  #parse(name: string): SessionFile | null {
    try {
      return sessionSchema.parse(parseJson(readSmallFile(join(this.#folder, name))));
    } catch {
      // The file is missing, half written or not a regular file. The next change calls the listeners again.
      return null;
    }
  }
}

function statusIn(file: SessionFile | null): SessionStatus | null {
  if (file?.status === undefined || file.statusUpdatedAt === undefined) return null;
  return { status: file.status, since: file.statusUpdatedAt };
}

/** Whether the process still runs: a killed `claude` leaves its file behind, and its id may belong to another program. */
function isAlive({ pid, procStart, startedAt }: SessionFile): boolean {
  if (!isRunning(pid)) return false;
  return process.platform === "linux" ? isSameProcess(pid, procStart) : isAsOldAs(pid, startedAt);
}

function isSameProcess(pid: number, procStart: string | undefined): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets and may contain anything. The 22nd field is the start time.
    const [state = "", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return !/[ZX]/.test(state) && (procStart === undefined || procStart === fields[18]);
  } catch {
    // The process has exited.
    return false;
  }
}

/** Without `/proc`, `ps` gives the start time in seconds. A process that is younger than the file is another one. */
function isAsOldAs(pid: number, startedAt: number): boolean {
  const { stdout } = Bun.spawnSync(["ps", "-o", "stat=,lstart=", "-p", `${pid}`], {
    env: { ...process.env, LC_ALL: "C" },
  });
  const [state = "", ...startTime] = stdout.toString().trim().split(/\s+/);
  const started = Date.parse(startTime.join(" "));
  return !state.startsWith("Z") && (Number.isNaN(started) || started <= startedAt + 2_000);
}
