/** An HAProxy for tests, with the configuration that the test gives. */
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { daemonFolder, findProgram, giveToDaemon, startDaemon } from "./daemon.ts";

export interface TestHaproxy extends AsyncDisposable {
  readonly pid: number;
  /** Reads a changed configuration as a service does: the old process finishes its connections. */
  reload(config: string): Promise<void>;
  /** Ends it at once, with all connections. */
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** @param files by name, further files of its folder, which the configuration names by `<folder>/` */
export async function startHaproxy(config: string, files: Record<string, string> = {}): Promise<TestHaproxy> {
  const folder = daemonFolder("haproxy");
  const write = (name: string, text: string) => {
    const path = join(folder.path, name);
    writeFileSync(path, text.replaceAll("<folder>", folder.path));
    giveToDaemon(path);
    return path;
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  const path = write("haproxy.cfg", config);
  const socket = join(folder.path, "main.sock");
  try {
    // Its main process starts a new worker at SIGUSR2, and the old one finishes its connections.
    const command = [findProgram("haproxy"), "-W", "-db", "-S", socket, "-f", path];
    const daemon = await startDaemon(command, /Loading success/);
    await mainLoop(socket);
    return {
      pid: daemon.pid,
      reload: async (next) => {
        write("haproxy.cfg", next);
        const loaded = daemon.printed(/Loading success/);
        daemon.signal("SIGUSR2");
        await loaded;
        await mainLoop(socket);
      },
      kill: () => daemon.stop("SIGKILL"),
      freeze: daemon.freeze,
      thaw: daemon.thaw,
      [Symbol.asyncDispose]: async () => {
        daemon.thaw();
        await daemon.stop("SIGTERM");
        folder.remove();
      },
    };
  } catch (error) {
    folder.remove();
    throw error;
  }
}

/**
 * Waits until the main process answers on its socket. It says that it has loaded its configuration before it opens the
 * socket and handles signals, and loses the signals that come earlier. The test's timeout ends the wait.
 */
async function mainLoop(path: string): Promise<void> {
  while (!(await answers(path))) await Bun.sleep(10);
}

async function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ path }, () => socket.write("show version\n"));
  socket.once("data", () => resolve(true));
  // An error is followed by the close.
  socket.once("error", () => {});
  socket.once("close", () => resolve(false));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

/** Checks a configuration as `haproxy -c` does. @returns the exit code and what it prints */
export async function checkHaproxy(path: string): Promise<{ readonly code: number; readonly output: string }> {
  const child = Bun.spawn([findProgram("haproxy"), "-c", "-f", path], { stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, output: `${out}${err}` };
}
