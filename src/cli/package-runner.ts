/**
 * Finds and watches the package runner that started this program. For `npx -y bun run start` it consists of npx, a
 * shell and bun, and for the npm package of its launcher, and of npx and a shell if npx started that.
 *
 * On SIGTERM npx kills its shell and exits. bun then has no parent and passes no signal on to the server, so the server
 * checks by itself whether all of these processes still run. It watches no process above the package runner: a server
 * that a person starts with nohup or setsid must outlive the shell and the terminal.
 */
import { readFileSync } from "node:fs";
import { name } from "../../package.json";
import { isRunning } from "../core/is-running.ts";

const CHECK_INTERVAL_MS = 500;

/** Two process ids. When the child has another parent, the parent has exited. */
export interface ParentLink {
  readonly child: number;
  readonly parent: number;
}

/** Looks up processes. Both methods return null when the process has exited or the system does not answer. */
export interface ProcessTable {
  parent(pid: number): number | null;
  command(pid: number): string | null;
}

/** The command line of npm, npx or a similar program, which may be a script that node runs. */
const RUNNER = /^(\S*\/)?((node|bun)\S* )?(\S*\/)?(npm|npx|pnpm|pnpx|yarn|yarnpkg|bunx)(-cli)?(\.c?js)?( |$)/;
const SHELL = /^(\S*\/)?(ba|da|z|k)?sh -c /;

/**
 * Finds the processes of the package runner, from this program upwards.
 * @param pid of this program
 * @returns an empty list when no package runner started this program
 */
export function packageRunner(
  pid: number,
  env: Record<string, string | undefined>,
  table: ProcessTable = systemTable,
): readonly ParentLink[] {
  if (env.SYNTHESIS_LAUNCHER_PID) {
    const launcher = table.parent(pid);
    // Programs that the launcher's server starts inherit the variable.
    if (launcher === null || `${launcher}` !== env.SYNTHESIS_LAUNCHER_PID) return [];
    return [{ child: pid, parent: launcher }, ...npxAbove(launcher, env, table)];
  }
  // Package runners set both variables. In a terminal that another program's npm started, the second one has that
  // program's name.
  if (env.npm_lifecycle_event !== "start" || env.npm_package_name !== name) return [];
  const parent = table.parent(pid);
  if (parent === null || parent === 1) return [];
  const links = [{ child: pid, parent }];
  const isRunner = (process: number) => RUNNER.test(table.command(process) ?? "");
  // `npm start` runs this program itself.
  if (isRunner(parent)) return links;

  // `npx bun run start` runs bun, which runs this program. Some versions run bun through a shell.
  const above = table.parent(parent);
  if (above === null || above === 1) return links;
  links.push({ child: parent, parent: above });
  if (isRunner(above)) return links;
  const aboveShell = SHELL.test(table.command(above) ?? "") ? table.parent(above) : null;
  if (aboveShell !== null && isRunner(aboveShell)) return [...links, { child: above, parent: aboveShell }];
  return links.slice(0, 1);
}

/** The npx that runs a program, and its shell. A terminal that another program's npx started has only the variable. */
function npxAbove(program: number, env: Record<string, string | undefined>, table: ProcessTable): ParentLink[] {
  if (env.npm_lifecycle_event !== "npx") return [];
  const parent = table.parent(program);
  if (parent === null || parent === 1) return [];
  const link = { child: program, parent };
  const command = table.command(parent) ?? "";
  if (RUNNER.test(command)) return [link];
  const above = SHELL.test(command) ? table.parent(parent) : null;
  return above !== null && RUNNER.test(table.command(above) ?? "") ? [link, { child: parent, parent: above }] : [];
}

/** Calls `onExit` once, when one of the package runner's processes has exited. */
export function watchPackageRunner(links: readonly ParentLink[], onExit: () => void): void {
  if (links.length === 0) return;
  const timer = setInterval(() => {
    if (links.every(parentRuns)) return;
    clearInterval(timer);
    onExit();
  }, CHECK_INTERVAL_MS);
  timer.unref();
}

/** The system gives the children of an exited process another parent at once, also while that process is a zombie. */
function parentRuns({ child, parent }: ParentLink): boolean {
  if (child === process.pid) return process.ppid === parent;
  if (process.platform === "linux") return parentInProc(child) === parent;
  // Running `ps` twice a second to find the parent would cost too much.
  return isRunning(parent);
}

function parentInProc(pid: number): number | null {
  try {
    // The process name before these fields stands in parentheses and may contain any character.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // The process has exited.
    return null;
  }
}

function commandInProc(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    // The process has exited.
    return null;
  }
}

function fromPs(pid: number, column: "ppid" | "args"): string | null {
  const { stdout } = Bun.spawnSync(["ps", "-ww", "-o", `${column}=`, "-p", `${pid}`], { stderr: "ignore" });
  return stdout.toString().trim() || null;
}

const systemTable: ProcessTable =
  process.platform === "linux"
    ? { parent: parentInProc, command: commandInProc }
    : {
        parent: (pid) => Number(fromPs(pid, "ppid")) || null,
        command: (pid) => fromPs(pid, "args"),
      };
