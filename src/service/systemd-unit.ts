/** The unit of systemd's user manager. */
import { recordOf, type ServiceDefinition, type ServiceRecord } from "./definition.ts";

/** Writes the unit. It has no sandbox, because that would keep `sudo` and much else from working in Claude's Bash. */
export function systemdUnit(service: ServiceDefinition): string {
  const [executable = "", ...args] = [...service.program, "serve", "--home", service.home];
  const hasFile = Object.keys(service.privateEnvironment).length > 0;
  return `# \`synthesis service install\` writes this file anew, and \`synthesis service uninstall\` removes it.
# ${JSON.stringify(recordOf(service))}
[Unit]
Description=synthesis ${service.version}
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
ExecStart=${[quoted(executable), ...args.map((arg) => quoted(arg).replaceAll("$", "$$$$"))].join(" ")}
${Object.entries(service.environment)
  .map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}\n`)
  .join("")}${hasFile ? `EnvironmentFile=${filePattern(service.environmentFile)}\n` : ""}Restart=on-failure
RestartSec=5
# The configuration is not valid: another start would not help.
RestartPreventExitStatus=2
# The server lets running turns finish and then ends its processes; systemd ends those that are left.
KillMode=mixed
TimeoutStopSec=${service.stopTimeoutS}
MemoryHigh=${service.memoryHighMb}M
# A command of Claude's that runs out of memory must not end the server.
OOMPolicy=continue

[Install]
WantedBy=default.target
`;
}

/** Quotes for all lines but those that take one bare path. Variables are expanded in arguments only, not here. */
const quoted = (text: string): string =>
  `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("\n", "\\n").replaceAll("\t", "\\t")}"`;

/** EnvironmentFile= takes a pattern and no quotes. */
const filePattern = (path: string): string => path.replace(/[*?[\]\\]/g, "\\$&").replaceAll("%", "%%");

/** The record in a unit or an agent; null if the file is not ours. */
export function readServiceRecord(content: string): ServiceRecord | null {
  const [, json] = /^(?:# |<!-- )(\{"version":.*\})(?: -->)?$/m.exec(content) ?? [];
  if (!json) return null;
  try {
    return JSON.parse(json) as ServiceRecord;
  } catch {
    // Someone has changed the line.
    return null;
  }
}
