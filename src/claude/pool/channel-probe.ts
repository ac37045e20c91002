/**
 * Starts Claude Code once in a terminal, for no conversation, to find out whether it accepts our channel. So the first
 * message need not wait for a refusal. The process is stopped as soon as that is known.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../core/clock.ts";
import type { AgentProcess } from "../agent-process.ts";

const log = getLogger(["synthesis", "pool"]);

/** Between the start of a conversation's process and a probe, in ms, so that the two starts do not compete. */
const AFTER_START_MS = 10_000;
/** After a probe that found nothing out, in ms, for example because Claude Code asked something. */
const AFTER_FAILURE_MS = 60 * 60_000;

interface ProbeDeps {
  readonly clock: Clock;
  /** The workspace for a probe; null when it would tell nothing new. */
  workspace(): string | null;
  /** Starts a process in a terminal, whose end is noted. */
  start(workspace: string): AgentProcess;
}

export class ChannelProbe {
  readonly #deps: ProbeDeps;
  #process: AgentProcess | null = null;
  #cancelPlan: (() => void) | null = null;
  #notBefore = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(deps: ProbeDeps) {
    this.#deps = deps;
  }

  /** Starts a probe, unless one runs, or it would tell nothing new. */
  run(): void {
    const { clock, workspace, start } = this.#deps;
    if (this.#isClosed || this.#process !== null || clock.now() < this.#notBefore) return;
    const folder = workspace();
    if (folder === null) return;
    // Until the probe has found something out, no other is started.
    this.#notBefore = clock.now() + AFTER_FAILURE_MS;
    try {
      const process = start(folder);
      this.#process = process;
      log.info("claude started to see whether it accepts the channel", { pid: process.pid });
      const stop = () => void process.stop();
      process.ready.then(stop, stop);
      const end = () => this.#end();
      process.exited.then(end, end);
    } catch (error) {
      log.warning("whether claude accepts the channel could not be found out: {error}", { error });
    }
  }

  #end(): void {
    this.#process = null;
    if (this.#deps.workspace() === null) this.#notBefore = Number.NEGATIVE_INFINITY;
  }

  /** Runs a probe later: a conversation's process has just been started. */
  plan(): void {
    if (this.#isClosed) return;
    this.#cancelPlan ??= this.#deps.clock.after(AFTER_START_MS, () => {
      this.#cancelPlan = null;
      this.run();
    });
  }

  /** Ends a probe, because a conversation's own process starts in a terminal now. It finds out the same. */
  cancel(): void {
    this.#cancelPlan?.();
    this.#cancelPlan = null;
    void this.#process?.stop();
  }

  /** Starts no more probes. Resolves when none runs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.cancel();
    await this.#process?.exited;
  }
}
