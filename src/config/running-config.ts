/**
 * The configuration of a running server. A changed file counts at the next start: Claude could have changed it. The
 * allowed roots alone may change before, at the request of a command that has the control key.
 */
import { getLogger } from "@logtape/logtape";
import { ConfigError } from "./config-error.ts";
import type { Config, Setting } from "./schema.ts";

const log = getLogger(["synthesis", "config"]);

interface RootsChange {
  /** Absolute paths. */
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** What would be different if the server started now. */
interface ConfigDifference {
  /** The settings that have other values. */
  readonly settings: readonly Setting[];
  /** Why the server could not start with what the file says now; null when it could. */
  readonly problem: string | null;
}

export interface RunningConfig {
  /** Its `allowedRoots` follow `changeRoots`; all else stays as it was at the start. */
  readonly config: Config;
  changeRoots(change: RootsChange): void;
  difference(): ConfigDifference;
}

/** @param load reads the whole configuration anew; throws ConfigError */
export function createRunningConfig(loaded: Config, load: () => Config): RunningConfig {
  let { allowedRoots } = loaded;
  const config = Object.defineProperty({ ...loaded }, "allowedRoots", { get: () => allowedRoots, enumerable: true });
  return {
    config,
    changeRoots: ({ add, remove }) => {
      const kept = allowedRoots.filter((root) => !remove.includes(root));
      allowedRoots = [...new Set([...kept, ...add])];
      log.info("allowed roots changed by a command", { add, remove });
    },
    difference: () => {
      try {
        const now = load();
        const names = Object.keys({ ...now, ...loaded }) as Setting[];
        return { settings: names.filter((name) => !isSame(now[name], config[name])), problem: null };
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        return { settings: [], problem: error.message };
      }
    },
  };
}

/** The order of a list says nothing in any setting. */
const isSame = (one: unknown, other: unknown): boolean =>
  Array.isArray(one) && Array.isArray(other)
    ? Bun.deepEquals(one.toSorted(), other.toSorted())
    : Bun.deepEquals(one, other);
