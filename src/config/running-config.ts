/**
 * The configuration of a running server. A change of the configuration file takes effect at the next start, since Claude
 * may have made it. Only the allowed roots can change before that, by a request with the control key.
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

/** How the configuration file and environment differ from the configuration that the server uses. */
interface ConfigDifference {
  /** The settings that would have other values if the server started now. */
  readonly settings: readonly Setting[];
  /** Why the server could not start now; null when it could. */
  readonly problem: string | null;
}

export interface RunningConfig {
  /** `changeRoots` changes its `allowedRoots`. All other settings stay as they were at the start. */
  readonly config: Config;
  changeRoots(change: RootsChange): void;
  difference(): ConfigDifference;
}

/** @param load loads the configuration again; throws ConfigError */
export function createRunningConfig(loaded: Config, load: () => Config): RunningConfig {
  let { allowedRoots } = loaded;
  const config = Object.defineProperty({ ...loaded }, "allowedRoots", { get: () => allowedRoots, enumerable: true });
  return {
    config,
    changeRoots: ({ add, remove }) => {
      const kept = allowedRoots.filter((root) => !remove.includes(root));
      allowedRoots = [...new Set([...kept, ...add])];
      log.info("a command changed the allowed roots", { add, remove });
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

/** Compares two values of a setting. In no setting does the order of a list matter. */
const isSame = (one: unknown, other: unknown): boolean =>
  Array.isArray(one) && Array.isArray(other)
    ? Bun.deepEquals(one.toSorted(), other.toSorted())
    : Bun.deepEquals(one, other);
