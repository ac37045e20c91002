/**
 * The folders in which conversations may work hold as the file has them now: `synthesis setup openclaw`
 * adds some while the server runs. All else holds from its start.
 */
import { statSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { ConfigError } from "./load.ts";
import type { Config } from "./schema.ts";

const log = getLogger(["synthesis", "config"]);

/**
 * @param load reads the whole configuration anew
 * @returns `config`, whose `allowedRoots` and `agents` follow the file
 */
export function withLiveFolders(config: Config, configFile: string, load: () => Config): Config {
  const changedAt = () => statSync(configFile, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  let seen = changedAt();
  let { allowedRoots, agents } = config;
  const current = () => {
    const now = changedAt();
    if (now !== seen) {
      seen = now;
      try {
        ({ allowedRoots, agents } = load());
        log.info("allowed folders read anew");
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        log.warning("the configuration holds as it was: {message}", { message: error.message });
      }
    }
    return { allowedRoots, agents };
  };
  return Object.defineProperties(
    { ...config },
    {
      allowedRoots: { get: () => current().allowedRoots, enumerable: true },
      agents: { get: () => current().agents, enumerable: true },
    },
  );
}
