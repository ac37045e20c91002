/**
 * claudes that are booted before anybody needs them: as many as are wanted, each started as one of the conversations
 * begun last, since the next is likely to be started like them. One is given away once, and has seen nobody before.
 */

import type { Config } from "../../config/schema.ts";
import type { ToolCatalogue } from "../../core/tools.ts";
import { launchHash } from "../interactive/launch-hash.ts";
import type { LaunchSpec } from "../interactive/launch-spec.ts";

/** What decides whether a claude suits a conversation. */
export type PrewarmSpec = Pick<LaunchSpec, "trusted" | "choice" | "tools">;

/** A claude, as far as it matters here. */
interface PrewarmedProcess {
  readonly spec: PrewarmSpec;
  /** Messages can be sent to it, now or soon. */
  readonly isUsable: boolean;
}

export class PrewarmedProcesses<T extends PrewarmedProcess> {
  readonly #config: Config;
  /** How the conversations begun last were started, newest first. */
  #recent: readonly PrewarmSpec[] = [];
  readonly #spares = new Set<T>();

  constructor(config: Config) {
    this.#config = config;
  }

  has = (process: T): boolean => this.#spares.has(process);

  add = (process: T): void => void this.#spares.add(process);

  delete = (process: T): void => void this.#spares.delete(process);

  /** A conversation begins with a claude that is started like this. */
  noteBegun(spec: PrewarmSpec): void {
    this.#recent = [spec, ...this.#recent].slice(0, this.#config.spares);
  }

  /** No more are wanted that are started like this. */
  forget(spec: PrewarmSpec): void {
    this.#recent = this.#recent.filter((one) => !this.#suits(spec, one));
  }

  /** A spare for a conversation that begins, null when none suits; it is none from then on. */
  take(spec: PrewarmSpec): T | null {
    const spare = [...this.#spares].find((one) => one.isUsable && this.#suits(one.spec, spec));
    if (spare) this.#spares.delete(spare);
    return spare ?? null;
  }

  /** What the next one is to be started with, null when there are enough; and those that nobody is expected for. */
  plan(): { readonly missing: PrewarmSpec | null; readonly surplus: readonly T[] } {
    const surplus = [...this.#spares];
    const missing = this.#recent.filter((spec) => {
      const at = surplus.findIndex((spare) => this.#suits(spare.spec, spec));
      if (at >= 0) surplus.splice(at, 1);
      return at < 0;
    });
    return { missing: missing[0] ?? null, surplus };
  }

  /** A spare may lack tools, which it can still be offered; one too many the model would see and could not use. */
  #suits(spare: PrewarmSpec, spec: PrewarmSpec): boolean {
    return (
      spare.trusted === spec.trusted &&
      launchHash(spare.choice, this.#config) === launchHash(spec.choice, this.#config) &&
      isWithin(spare.tools, spec.tools)
    );
  }
}

const isWithin = (some: ToolCatalogue, all: ToolCatalogue): boolean =>
  [...some].every(([name, { definition }]) => Bun.deepEquals(definition, all.get(name)?.definition));
