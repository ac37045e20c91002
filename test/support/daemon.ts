/**
 * Runs a server program of another project (Postgres, PgBouncer, HAProxy) in the foreground, with a temporary folder of
 * its own. The tests run as root in a container, where these programs refuse to run, so they run as `nobody` there.
 */
import { chownSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLines } from "../../src/core/read-lines.ts";
import { descendants, waitForExit } from "./processes.ts";

/** How long a program may take until it is ready or has exited, in ms. */
const DEADLINE_MS = 30_000;

const isRoot = process.getuid?.() === 0;

export interface Daemon {
  readonly pid: number;
  /** Its standard error so far. */
  readonly output: () => string;
  /** Resolves when a line of its standard error from now on matches. @throws Error when it exits first, or is late */
  printed(match: RegExp): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Stops it with all its children by SIGSTOP, as on a machine that hangs: connections stay open and are silent. */
  freeze(): void;
  thaw(): void;
  /** Sends the signal and waits for the exit; after the deadline it is killed. */
  stop(signal: NodeJS.Signals): Promise<void>;
}

/** A new folder that the program can write to. */
export function daemonFolder(name: string): Disposable & { readonly path: string; remove(): void } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), `synthesis-${name}-`)));
  giveToDaemon(path);
  const remove = () => rmSync(path, { recursive: true, force: true });
  return { path, remove, [Symbol.dispose]: remove };
}

/** Lets the program read and write this file, which the test has made. */
export function giveToDaemon(path: string): void {
  if (isRoot) chownSync(path, Number(idOfNobody("-u")), Number(idOfNobody("-g")));
}

const idOfNobody = (option: string): string => Bun.spawnSync(["id", option, "nobody"]).stdout.toString().trim();

/**
 * The command as it must be run: without root's rights, and killed by the kernel when the test process dies, however it
 * dies.
 */
function confined(command: readonly string[]): string[] {
  const setpriv = Bun.which("setpriv");
  if (setpriv === null) return [...command];
  const user = isRoot ? ["--reuid=nobody", `--regid=${idOfNobody("-g")}`, "--clear-groups"] : [];
  return [setpriv, "--pdeathsig=SIGKILL", ...user, "--", ...command];
}

/** Runs a command of the same project to its end, such as initdb. @throws Error with its output when it fails */
export async function runOnce(command: readonly string[]): Promise<string> {
  const child = Bun.spawn(confined(command), { cwd: "/", stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(" ")} failed with ${code}:\n${out}${err}`);
  return out;
}

/** The program in the search path or in one of these folders. @throws Error with the package that has it */
export function findProgram(name: string, folders: readonly string[] = []): string {
  const found = Bun.which(name, { PATH: [process.env.PATH, "/usr/sbin", ...folders].join(":") });
  if (found === null) throw new Error(`These tests need ${name}. Install it: .ci/install`);
  return found;
}

/** @param ready the line of its standard error that says that it accepts connections */
export async function startDaemon(command: readonly string[], ready: RegExp): Promise<Daemon> {
  const child = Bun.spawn(confined(command), { cwd: "/", stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  let output = "";
  const waiting = new Set<{ readonly match: RegExp; readonly resolve: () => void }>();
  const read = readLines(child.stderr, (line) => {
    output += `${line}\n`;
    for (const one of [...waiting].filter(({ match }) => match.test(line))) one.resolve();
  });

  const printed = async (match: RegExp) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const one = { match, resolve };
    waiting.add(one);
    const problem = await Promise.race([
      promise.then(() => null),
      child.exited.then(async (code) => read.then(() => `exited with ${code}`)),
      deadline().then(() => `did not print ${match} in ${DEADLINE_MS} ms`),
    ]);
    waiting.delete(one);
    if (problem !== null) throw new Error(`${command[0]} ${problem}:\n${output}`);
  };
  const signal = (name: NodeJS.Signals, pids = [child.pid]) => {
    for (const pid of pids) {
      try {
        process.kill(pid, name);
      } catch (error) {
        // A child may exit after it was listed.
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
      }
    }
  };
  const stop = async (name: NodeJS.Signals) => {
    const pids = [child.pid, ...descendants(child.pid)];
    signal(name);
    const exit = Promise.all([child.exited, waitForExit(pids)]);
    const isLate = await Promise.race([exit.then(() => false), deadline().then(() => true)]);
    if (isLate) signal("SIGKILL", [child.pid, ...descendants(child.pid), ...pids]);
    await exit;
  };

  try {
    await printed(ready);
  } catch (error) {
    await stop("SIGKILL");
    throw error;
  }
  return {
    pid: child.pid,
    output: () => output,
    printed,
    signal,
    // The parent first, so that it starts no child that is missed.
    freeze: () => {
      signal("SIGSTOP");
      signal("SIGSTOP", descendants(child.pid));
    },
    thaw: () => signal("SIGCONT", [...descendants(child.pid), child.pid]),
    stop,
  };
}

const deadline = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, DEADLINE_MS).unref();
  });

/** Below the ports that systems give to outgoing connections: one of those could take the port before it is opened. */
const PORTS = { from: 20_000, to: 32_000 };
/** Those that this process was given, which may not be open yet. */
const given = new Set<number>();

/** A port of 127.0.0.1 that is free, and stays so while a program that has it is restarted. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  return promise;
}
