/**
 * claude's own word on itself: `<config>/sessions/<pid>.json`, which it keeps while it runs. It says whether
 * claude works, and which session it has open: claude does not mind two processes on one session, though both
 * write into its transcript. (Only these files are read: beside them lie keys that are none of our business.)
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { isRunning } from "../core/is-running.ts";
import { parseJson } from "../core/json-gate.ts";
import { readSmallFile } from "../core/regular-file.ts";
import { type Watch, watchChanges } from "../core/watch-file.ts";
import { configFolder } from "./config-folder.ts";

/** One that has been killed, or is told to end, gets a moment to be gone: so many looks, so many ms apart. */
const LOOKS = 10;
const LOOK_AGAIN_MS = 100;

export interface SessionStatus {
  readonly status: string;
  /** When it became that, Unix time in ms. */
  readonly since: number;
}

const session = z.looseObject({
  pid: z.number(),
  sessionId: z.string(),
  /** Unix time in ms. */
  startedAt: z.number(),
  /** On Linux the start time that /proc has of the process, in clock ticks. */
  procStart: z.string().optional(),
  /** Not there before claude is ready. */
  status: z.string().optional(),
  statusUpdatedAt: z.number().optional(),
});
type SessionFile = z.infer<typeof session>;

/** One claude of ours, and what it is told. */
export interface SessionListener {
  readonly pid: number;
  readonly claudeSession: string;
  /** Its own file may have changed. */
  onChange(): void;
  /** Another claude has opened its session. */
  onRival(pid: number): void;
}

/** The folder of all session files, watched once for all claudes. */
export class SessionFolder {
  readonly #folder: string;
  readonly #listeners = new Map<string, SessionListener>();
  #watch: Watch | undefined;

  constructor(env: Record<string, string | undefined>) {
    this.#folder = join(configFolder(env), "sessions");
  }

  /** Whether the claude with this process id works, as it says; null when it says nothing that can be read. */
  read(pid: number): SessionStatus | null {
    const file = this.#parse(`${pid}.json`);
    if (file?.status === undefined || file.statusUpdatedAt === undefined) return null;
    return { status: file.status, since: file.statusUpdatedAt };
  }

  /** The process id of another claude that has this session open; null when none has, or it is just ending. */
  async rival(claudeSession: string): Promise<number | null> {
    for (let looks = 0; ; looks += 1) {
      const pid = this.#holder(claudeSession);
      if (pid === null || looks === LOOKS) return pid;
      await Bun.sleep(LOOK_AGAIN_MS);
    }
  }

  #holder(claudeSession: string): number | null {
    for (const name of this.#names()) {
      const file = this.#parse(name);
      if (file?.sessionId === claudeSession && isAlive(file)) return file.pid;
    }
    return null;
  }

  /** Tells a listener what it should know, until the function it gives is called. */
  watch(listener: SessionListener): () => void {
    // Made by the first claude that ever runs.
    if (!this.#watch && existsSync(this.#folder)) {
      this.#watch = watchChanges(this.#folder, (name) => {
        for (const one of name === null ? this.#names() : [name]) this.#look(one);
      });
    }
    const name = `${listener.pid}.json`;
    this.#listeners.set(name, listener);
    return () => this.#listeners.delete(name);
  }

  close(): void {
    this.#watch?.close();
  }

  #names(): string[] {
    return existsSync(this.#folder) ? readdirSync(this.#folder).filter((name) => /^\d+\.json$/.test(name)) : [];
  }

  #look(name: string): void {
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
      return session.parse(parseJson(readSmallFile(join(this.#folder, name))));
    } catch {
      // Not there, half written, or no regular file: the next change announces itself.
      return null;
    }
  }
}

/** A claude that was killed leaves its file behind, and its process id may have become another program's. */
function isAlive({ pid, procStart, startedAt }: SessionFile): boolean {
  if (!isRunning(pid)) return false;
  return process.platform === "linux" ? hasStarted(pid, procStart) : wasThere(pid, startedAt);
}

function hasStarted(pid: number, procStart: string | undefined): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets, which may hold anything; the 22nd is the start time.
    const [state = "", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return !/[ZX]/.test(state) && (procStart === undefined || procStart === fields[18]);
  } catch {
    // Gone in the meantime.
    return false;
  }
}

/** Elsewhere `ps` says to the second when a process began: one that is younger than the file is another one. */
function wasThere(pid: number, startedAt: number): boolean {
  const { stdout } = Bun.spawnSync(["ps", "-o", "stat=,lstart=", "-p", `${pid}`], {
    env: { ...process.env, LC_ALL: "C" },
  });
  const [state = "", ...words] = stdout.toString().trim().split(/\s+/);
  const began = Date.parse(words.join(" "));
  return !state.startsWith("Z") && (Number.isNaN(began) || began <= startedAt + 2_000);
}
