/** Checks that the service, if it is installed, still fits this machine and this version. */
import { existsSync } from "node:fs";
import { version } from "../../package.json";
import type { Paths } from "../config/paths.ts";
import { findProgram } from "../core/search-path.ts";
import { installedService, serviceManager } from "../service/manager.ts";
import { type Check, subject } from "./check.ts";

const service = subject("service");
const INSTALL = "Run `synthesis service install` again.";

export function serviceChecks(paths: Paths, env: Record<string, string | undefined>): Check[] {
  const manager = serviceManager(env);
  if (!existsSync(manager.file)) return [service.ok("not installed; `synthesis service install` does it")];
  const record = installedService(manager);
  if (!record) return [service.warning("not_ours", `${manager.file} was changed or is not ours`, INSTALL)];
  // Another state folder has a server of its own.
  if (record.home !== paths.home) return [service.ok(`installed for another state folder, ${record.home}`)];
  const missing = record.program.find((part) => part.startsWith("/") && !existsSync(part));
  if (missing) return [service.failed("program_missing", `its program ${missing} no longer exists`, INSTALL)];
  if (record.claude && !findProgram(record.claude, env)) {
    return [service.failed("claude_missing", `its Claude Code ${record.claude} no longer exists`, INSTALL)];
  }
  if (record.version !== version) {
    return [service.warning("other_version", `installed by version ${record.version}, this is ${version}`, INSTALL)];
  }
  return [service.ok(manager.file)];
}
