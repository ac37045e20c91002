/** Takes the lock on the state folder, so that only one server uses it. */
import { ConfigError } from "../config/config-error.ts";
import type { Paths } from "../config/paths.ts";
import { isRunning } from "../core/is-running.ts";
import { storeFault } from "../store/faults.ts";
import { acquireLock, type Lock } from "../store/lock.ts";

/** The watchdog of a killed server holds the lock while it kills orphans, which takes less than two seconds. */
const ATTEMPTS = 20;
const RETRY_MS = 100;

/** @throws ConfigError when another server uses the folder, or the lock file cannot be used */
export async function lockStateFolder(paths: Paths): Promise<Lock> {
  for (let attempt = 0; ; attempt += 1) {
    const result = tryLock(paths);
    if ("lock" in result) return result.lock;
    const { heldBy } = result;
    if ((heldBy && isRunning(heldBy.pid)) || attempt === ATTEMPTS) {
      const holder = heldBy ? ` (pid ${heldBy.pid}${heldBy.port ? `, port ${heldBy.port}` : ""})` : "";
      throw new ConfigError(
        `Another synthesis${holder} uses ${paths.home}. Stop it, or choose another state folder with --home or ` +
          "SYNTHESIS_HOME.",
      );
    }
    await Bun.sleep(RETRY_MS);
  }
}

function tryLock({ lock, home }: Paths): ReturnType<typeof acquireLock> {
  try {
    return acquireLock(lock);
  } catch (error) {
    const fault = storeFault(error);
    throw fault ? new ConfigError(`${home}: ${fault.what} ${fault.advice}`) : error;
  }
}
