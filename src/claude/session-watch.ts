/** Watches the session files for one process: its own status, and other processes that open the same Claude session. */
import { getLogger } from "@logtape/logtape";
import type { SessionFolder, SessionStatus } from "./session-file.ts";

const log = getLogger(["synthesis", "process"]);

export class SessionWatch {
  readonly #folder: SessionFolder;
  readonly #onChange: () => void;
  readonly #logFields: () => { session: string; pid: number };
  #revision = 0;
  #isShared = false;
  #unwatch: (() => void) | undefined;

  /**
   * @param onChange called when the status of the process may have changed
   * @param logFields names the process in the log
   */
  constructor(folder: SessionFolder, onChange: () => void, logFields: () => { session: string; pid: number }) {
    this.#folder = folder;
    this.#onChange = onChange;
    this.#logFields = logFields;
  }

  /** @param pid Claude Code's own process id, which may be that of a child of a wrapper */
  begin(pid: number, claudeSession: string): void {
    this.#unwatch = this.#folder.watch({
      pid,
      claudeSession,
      onChange: () => {
        this.#revision += 1;
        this.#onChange();
      },
      onRival: (rival) => {
        if (this.#isShared) return;
        this.#isShared = true;
        log.warning("another claude has opened this session", { ...this.#logFields(), rival });
      },
    });
  }

  /** Increases whenever the status may have changed, also if it turns out to be the same. */
  get revision(): number {
    return this.#revision;
  }

  /** Another process has opened the session too. */
  get isShared(): boolean {
    return this.#isShared;
  }

  /** The status of the process with this id; null when it does not say. */
  statusOf(pid: number): SessionStatus | null {
    return this.#folder.read(pid);
  }

  /** The process has exited. */
  end(): void {
    this.#unwatch?.();
  }
}
