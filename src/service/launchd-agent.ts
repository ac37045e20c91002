/** The agent of launchd, a property list. */
import { build } from "plist";
import { recordOf, type ServiceDefinition } from "./definition.ts";

export const LABEL = "com.github.synthesis-server.synthesis";

/** Reads the environment file, whose path is its first argument, and becomes the program in the others. */
const WITH_FILE = ["/bin/sh", "-c", 'set -a; . "$0"; set +a; exec "$@"'];

export function launchdAgent(service: ServiceDefinition): string {
  const command = [...service.program, "serve", "--home", service.home];
  const hasFile = Object.keys(service.privateEnvironment).length > 0;
  const values = {
    Label: LABEL,
    ProgramArguments: hasFile ? [...WITH_FILE, service.environmentFile, ...command] : command,
    EnvironmentVariables: service.environment,
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: 10,
    ExitTimeOut: service.stopTimeoutS,
    StandardOutPath: service.logFile,
    StandardErrorPath: service.logFile,
  };
  // A comment must not contain two hyphens in a row.
  const record = JSON.stringify(recordOf(service)).replaceAll("-", "\\u002d");
  return `${build(values).replace("<plist ", () => `<!-- ${record} -->\n<plist `)}\n`;
}
