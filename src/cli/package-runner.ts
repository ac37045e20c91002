/**
 * The package runner that started this program, `npx -y bun run start` for one: npx, its shell, and bun.
 *
 * On SIGTERM npx ends its shell and itself. bun is left without a parent and passes no signal on, so the server looks
 * itself whether all of them still run. It does not look further up: a person who starts a server with nohup or setsid
 * wants it to outlive the shell and the terminal.
 */
import { readFileSync } from "node:fs";
import { name } from "../../package.json";

/** How long a server may outlive its package runner. */
const LOOK_MS = 500;

/** A process that runs another for us. */
interface Link {
  readonly child: number;
  readonly parent: number;
}

/** What the system says of a process; null when the process is gone, or the system does not say. */
export interface ProcessTable {
  parent(pid: number): number | null;
  command(pid: number): string | null;
}

/** npm, npx and their likes, by their own names or as scripts of node. */
const RUNNER = /^(\S*\/)?((node|bun)\S* )?(\S*\/)?(npm|npx|pnpm|pnpx|yarn|yarnpkg|bunx)(-cli)?(\.c?js)?( |$)/;
const SHELL = /^(\S*\/)?(ba|da|z|k)?sh -c /;

/**
 * The package runner's processes, from this one upwards.
 * @param pid this program's
 * @returns nothing when no package runner started it
 */
export function packageRunner(
  pid: number,
  env: Record<string, string | undefined>,
  table: ProcessTable = systemTable,
): readonly Link[] {
  // Package runners set these. In a terminal that another program's npm started, the second names that program.
  if (env.npm_lifecycle_event !== "start" || env.npm_package_name !== name) return [];
  const links: Link[] = [];
  const parent = table.parent(pid);
  if (parent === null || parent === 1) return [];
  links.push({ child: pid, parent });
  // `npm start` runs this program itself; `npx bun run start` has its shell run bun, and bun run this program.
  let top = parent;
  const isRunner = (one: number) => RUNNER.test(table.command(one) ?? "");
  while (!isRunner(top)) {
    const next = table.parent(top);
    if (next === null || next === 1) break;
    const above = SHELL.test(table.command(next) ?? "") ? table.parent(next) : null;
    if (isRunner(next)) links.push({ child: top, parent: next });
    else if (above !== null && isRunner(above))
      links.push({ child: top, parent: next }, { child: next, parent: above });
    else break;
    top = links.at(-1)?.parent ?? top;
  }
  return links;
}

/**
 * Watches the package runner for as long as this program lives.
 * @param onGone called once, when one of its processes has ended
 */
export function watchPackageRunner(links: readonly Link[], onGone: () => void): void {
  if (links.length === 0) return;
  const looks = setInterval(() => {
    if (links.every(isThere)) return;
    clearInterval(looks);
    onGone();
  }, LOOK_MS);
  looks.unref();
}

/** When a process ends, its children get another parent at once, even while it stays a zombie. */
function isThere({ child, parent }: Link): boolean {
  if (child === process.pid) return process.ppid === parent;
  if (process.platform === "linux") return parentInProc(child) === parent;
  try {
    // To ask `ps` that often would cost too much.
    process.kill(parent, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function parentInProc(pid: number): number | null {
  try {
    // The name comes before it in parentheses, and may hold any character.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // The process is gone.
    return null;
  }
}

function commandInProc(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    // The process is gone.
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
