/** Installs and runs the service with systemd's user manager or with launchd. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { environmentFileContent, type ServiceDefinition, type ServiceRecord } from "./definition.ts";
import { LABEL, launchdAgent } from "./launchd-agent.ts";
import { readServiceRecord, systemdUnit } from "./systemd-unit.ts";

type Env = Record<string, string | undefined>;

const UNIT = "synthesis.service";

interface ServiceState {
  readonly isRunning: boolean;
  /** As the system reports it, such as `active (running)`. */
  readonly text: string;
  readonly pid: number | null;
}

export interface ServiceManager {
  /** The unit or the agent. */
  readonly file: string;
  /** Why the service cannot be managed here, and what to do; null if it can. */
  problem(): string | null;
  text(service: ServiceDefinition): string;
  /** Writes the definition and starts the service, or starts it again with the new one. */
  install(service: ServiceDefinition): void;
  restart(): void;
  state(): ServiceState;
  /** Stops the service, which lets running turns finish, and removes every file of it. */
  uninstall(environmentFile: string): void;
  /** What shows the log. */
  logCommand(logFile: string, lines: string, follow: boolean): string[];
  /** What a person must still do so that the service runs without a login; null for nothing. */
  lingerAdvice(): string | null;
}

/** A command of the system has failed. */
export class ServiceError extends Error {}

export const serviceManager = (env: Env): ServiceManager => (process.platform === "darwin" ? launchd() : systemd(env));

/** The record of the installed service; null if none is installed. */
export function installedService({ file }: ServiceManager): ServiceRecord | null {
  return existsSync(file) ? readServiceRecord(readFileSync(file, "utf8")) : null;
}

function run(command: string[]): { ok: boolean; text: string } {
  try {
    const { success, stdout, stderr } = Bun.spawnSync(command, { stdin: "ignore" });
    return { ok: success, text: `${stdout}${stderr}`.trim() };
  } catch {
    return { ok: false, text: `${command[0]} is not installed` };
  }
}

/** Bun's `userInfo` has the name from USER only, which a service or a container may lack. */
const username = (): string => run(["id", "-un"]).text;

function must(command: string[]): void {
  const { ok, text } = run(command);
  if (!ok) throw new ServiceError(`\`${command.join(" ")}\` failed: ${text}`);
}

function writeFiles(file: string, content: string, { environmentFile, privateEnvironment }: ServiceDefinition): void {
  // Removed first, so that a file that others could read does not keep its mode.
  rmSync(environmentFile, { force: true });
  if (Object.keys(privateEnvironment).length > 0) {
    writeFileSync(environmentFile, environmentFileContent(privateEnvironment), { mode: 0o600, flag: "wx" });
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode: 0o644 });
}

function systemd(env: Env): ServiceManager {
  const file = join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "systemd/user", UNIT);
  const systemctl = (...args: string[]) => ["systemctl", "--user", ...args];
  return {
    file,
    problem: () => {
      if (!existsSync("/run/systemd/system")) {
        return (
          "This machine does not run systemd. Let its own init system or the container run `synthesis serve`; " +
          "`synthesis service print` shows with what."
        );
      }
      const { ok, text } = run(systemctl("show-environment"));
      return ok
        ? null
        : `systemd's user manager does not answer: ${text}. Log in as this user, not with su or sudo, or run ` +
            `\`sudo loginctl enable-linger ${username()}\` and set XDG_RUNTIME_DIR=/run/user/${userInfo().uid}.`;
    },
    text: systemdUnit,
    install: (service) => {
      writeFiles(file, systemdUnit(service), service);
      must(systemctl("daemon-reload"));
      must(systemctl("enable", UNIT));
      run(systemctl("reset-failed", UNIT));
      must(systemctl("restart", UNIT));
    },
    restart: () => {
      // After too many failures systemd refuses a start.
      run(systemctl("reset-failed", UNIT));
      must(systemctl("restart", UNIT));
    },
    state: () => {
      const { text } = run(systemctl("show", UNIT, "--property=ActiveState,SubState,MainPID,Result"));
      const values = Object.fromEntries(text.split("\n").map((line) => line.split("=") as [string, string]));
      const result = values.Result && values.Result !== "success" ? `, ${values.Result}` : "";
      return {
        isRunning: values.ActiveState === "active",
        text: `${values.ActiveState ?? "unknown"} (${values.SubState ?? text})${result}`,
        pid: Number(values.MainPID) || null,
      };
    },
    uninstall: (environmentFile) => {
      if (existsSync(file)) must(systemctl("disable", "--now", UNIT));
      rmSync(file, { force: true });
      rmSync(environmentFile, { force: true });
      must(systemctl("daemon-reload"));
      run(systemctl("reset-failed", UNIT));
    },
    logCommand: (_logFile, lines, follow) => [
      ...["journalctl", "--user", "--unit", UNIT, "--lines", lines],
      ...(follow ? ["--follow"] : []),
    ],
    lingerAdvice: () => {
      const user = username();
      const { ok, text } = run(["loginctl", "show-user", user, "--property=Linger", "--value"]);
      if ((ok && text === "yes") || existsSync(`/var/lib/systemd/linger/${user}`)) return null;
      return (
        `The service starts when ${user} logs in, and stops when ${user} logs out. To run it from the start of ` +
        `the machine: sudo loginctl enable-linger ${user}`
      );
    },
  };
}

function launchd(): ServiceManager {
  const file = join(homedir(), "Library/LaunchAgents", `${LABEL}.plist`);
  const domain = `gui/${userInfo().uid}`;
  const name = `${domain}/${LABEL}`;
  return {
    file,
    problem: () =>
      run(["launchctl", "print", domain]).ok
        ? null
        : "launchd has no session for this user. Log in on the screen of this Mac, and run the command there.",
    text: launchdAgent,
    install: (service) => {
      // It waits until the old server has ended.
      run(["launchctl", "bootout", name]);
      writeFiles(file, launchdAgent(service), service);
      must(["launchctl", "bootstrap", domain, file]);
    },
    restart: () => must(["launchctl", "kickstart", "-k", name]),
    state: () => {
      const { ok, text } = run(["launchctl", "print", name]);
      const pid = Number(/^\s*pid = (\d+)/m.exec(text)?.[1]) || null;
      return {
        isRunning: pid !== null,
        text: /^\s*state = (.+)$/m.exec(text)?.[1] ?? (ok ? "unknown" : "not loaded"),
        pid,
      };
    },
    uninstall: (environmentFile) => {
      run(["launchctl", "bootout", name]);
      rmSync(file, { force: true });
      rmSync(environmentFile, { force: true });
    },
    logCommand: (logFile, lines, follow) => ["tail", "-n", lines, ...(follow ? ["-F"] : []), logFile],
    lingerAdvice: () => "The service starts when this user logs in on this Mac.",
  };
}
