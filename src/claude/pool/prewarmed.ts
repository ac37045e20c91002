/**
 * Processes that are started before a conversation needs them. Each is started like one of the newest conversations,
 * because the next conversation will probably be like these. A stream process suits any conversation of its workspace,
 * because it takes prompt, tools, model and effort later. A prewarmed process is given to one conversation only.
 */
import type { Config } from "../../config/schema.ts";
import type { ToolCatalogue } from "../../core/tools.ts";
import type { Engine } from "../agent-process.ts";
import { isSameLaunch } from "../launch-hash.ts";
import type { LaunchSpec } from "../launch-spec.ts";

/** What decides whether a process is suitable for a conversation. */
export type PrewarmSpec = Pick<LaunchSpec, "trusted" | "choice" | "engine" | "tools">;

/** The part of a process that is used here. */
interface PrewarmedProcess {
  readonly engine: Engine;
  readonly spec: PrewarmSpec;
  /** Messages can be sent to it now or soon. */
  readonly isUsable: boolean;
}

export class PrewarmedProcesses<T extends PrewarmedProcess> {
  readonly #config: Config;
  readonly #engineFor: (spec: PrewarmSpec) => Engine;
  /** How the newest conversations were started, newest first. */
  #recent: readonly PrewarmSpec[] = [];
  readonly #processes = new Set<T>();

  /** @param engineFor the engine that a process with this spec would have now */
  constructor(config: Config, engineFor: (spec: PrewarmSpec) => Engine) {
    this.#config = config;
    this.#engineFor = engineFor;
  }

  has = (process: T): boolean => this.#processes.has(process);

  add = (process: T): void => void this.#processes.add(process);

  delete = (process: T): void => void this.#processes.delete(process);

  /** A new conversation was started like this. */
  noteStarted(spec: PrewarmSpec): void {
    this.#recent = [spec, ...this.#recent].slice(0, this.#config.spares);
  }

  /** Plans no more processes that would be like this one, which exited. */
  forget(process: Pick<T, "engine" | "spec">): void {
    this.#recent = this.#recent.filter((spec) => !this.#suits(process, spec));
  }

  /** Plans no process like this one, which could not be started. */
  drop(spec: PrewarmSpec): void {
    this.#recent = this.#recent.filter((one) => one !== spec);
  }

  /** Takes out a process for a new conversation; null when none is suitable. */
  take(spec: PrewarmSpec): T | null {
    const process = [...this.#processes].find((one) => one.isUsable && this.#suits(one, spec));
    if (process) this.#processes.delete(process);
    return process ?? null;
  }

  /** How to start the next process, null when there are enough; and the processes that no conversation is expected to need. */
  plan(): { readonly missing: PrewarmSpec | null; readonly surplus: readonly T[] } {
    const surplus = [...this.#processes];
    const missing = this.#recent.filter((spec) => {
      const at = surplus.findIndex((process) => this.#suits(process, spec));
      if (at >= 0) surplus.splice(at, 1);
      return at < 0;
    });
    return { missing: missing[0] ?? null, surplus };
  }

  #suits({ engine, spec: { trusted, choice, tools } }: Pick<T, "engine" | "spec">, wanted: PrewarmSpec): boolean {
    // A process that was started before the engine changed suits no conversation that starts now.
    if (trusted !== wanted.trusted || engine !== this.#engineFor(wanted)) return false;
    if (engine === "stream") {
      const { workspace, isIsolated, claudeTools } = wanted.choice;
      return (
        choice.workspace === workspace &&
        choice.isIsolated === isIsolated &&
        Bun.deepEquals(choice.claudeTools, claudeTools)
      );
    }
    return (
      isSameLaunch(choice, wanted.choice, this.#config) &&
      // It may lack tools, because it can be offered more. It must have no other tool: the model might call it.
      isSubset(tools, wanted.tools)
    );
  }
}

const isSubset = (some: ToolCatalogue, all: ToolCatalogue): boolean =>
  [...some].every(([name, { definition }]) => Bun.deepEquals(definition, all.get(name)?.definition));
