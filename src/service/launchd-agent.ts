/** The agent of launchd, a property list. */
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
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ${record} -->
<plist version="1.0">
${element(values)}
</plist>
`;
}

type Value = string | number | boolean | readonly string[] | { readonly [name: string]: Value };

function element(value: Value): string {
  if (typeof value === "string") return `<string>${escaped(value)}</string>`;
  if (typeof value === "number") return `<integer>${value}</integer>`;
  if (typeof value === "boolean") return value ? "<true/>" : "<false/>";
  if (Array.isArray(value)) return `<array>\n${value.map(element).join("\n")}\n</array>`;
  const entries = Object.entries(value).map(([name, one]) => `<key>${escaped(name)}</key>\n${element(one)}`);
  return `<dict>\n${entries.join("\n")}\n</dict>`;
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\r", "&#13;");
