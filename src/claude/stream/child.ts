/** The child process of a stream conversation: lines in, lines out. */
import { getLogger } from "@logtape/logtape";
import { readLines } from "../../core/read-lines.ts";
import type { Exit } from "../agent-process.ts";
import { withOpenFolder } from "../open-folder.ts";
import { killGroup, signalGroup } from "../process-mark.ts";

const log = getLogger(["synthesis", "process"]);

/** How much of the end of stderr is kept, in characters. */
const MAX_STDERR = 2_000;
/** How long Claude Code has to end after a wrapper around it, in ms. Its hooks have 1.5 s of that. */
const WRAPPED_MS = 2_500;
/** How long the output of a process that has exited is read at most, in ms. */
const REST_MS = 1_000;
/** How long a process may run on after it has closed its input or its output, in ms. */
const CLOSING_MS = 1_000;

export class StreamChild {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  /** Resolves when the process has exited and its output is handled. */
  readonly exited: Promise<Exit>;
  /** The process is a wrapper around Claude Code, which is another process of its group. */
  isWrapper = false;
  #isStopping = false;
  #stderr = "";

  /**
   * Starts the process.
   * @param workspace the working directory: a real path, as it was when the workspace was allowed
   * @param onLine receives each line of its output, as for `readLines`
   */
  constructor(argv: string[], env: Record<string, string>, workspace: string, onLine: Parameters<typeof readLines>[1]) {
    this.#child = withOpenFolder(workspace, (cwd) =>
      // `detached` makes a process group, so that everything that the process starts can be killed with it.
      Bun.spawn(argv, { cwd, env, stdin: "pipe", stdout: "pipe", stderr: "pipe", detached: true }),
    );
    const output = readLines(this.#child.stdout, onLine).then(
      () => this.#expectExit("output"),
      (error) => {
        // A process whose output is not read any more would block on a full pipe.
        this.kill("SIGKILL");
        log.error("claude killed, its output could not be handled: {error}", { pid: this.pid, error });
      },
    );
    const errors = readLines(this.#child.stderr, (line) => {
      this.#stderr = `${this.#stderr}${line}\n`.slice(-MAX_STDERR);
    }).catch((error) => log.debug("stderr of claude could not be read: {error}", { pid: this.pid, error }));
    this.exited = this.#waitForExit(Promise.all([output, errors]));
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The end of what the process has written to stderr. */
  get stderr(): string {
    return this.#stderr.trim();
  }

  /** Writes a line to its input. @returns false when the process no longer reads it */
  write(line: string): boolean {
    const { stdin } = this.#child;
    return this.#useInput(() => [stdin.write(`${line}\n`), stdin.flush()]);
  }

  /** Ends its input, upon which an idle process exits. */
  endInput(): void {
    this.#useInput(() => [this.#child.stdin.end()]);
  }

  /** @param use returns the results of its operations, each of which may be a promise */
  #useInput(use: () => readonly unknown[]): boolean {
    // The process has closed its input. Its exit reports why.
    const noteClosed = (error: unknown) => {
      log.debug("claude does not read its input: {error}", { pid: this.pid, error });
      this.#expectExit("input");
    };
    try {
      // What does not fit into the pipe is written later, and fails later when the process exits without reading it.
      for (const result of use()) Promise.resolve(result).catch(noteClosed);
      return true;
    } catch (error) {
      noteClosed(error);
      return false;
    }
  }

  /** A process that has closed a pipe can take no turn. Kills it, unless it is about to exit. */
  #expectExit(pipe: "input" | "output"): void {
    const timer = setTimeout(() => {
      log.warning("claude killed: it has closed its {pipe}", { pid: this.pid, pipe });
      this.kill("SIGKILL");
    }, CLOSING_MS);
    void this.#child.exited.then(() => clearTimeout(timer));
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    this.#isStopping ||= signal === "SIGTERM";
    // A wrapper need not pass the signal on.
    if (signal === "SIGTERM" && this.isWrapper) signalGroup(this.pid, signal);
    else this.#child.kill(signal);
  }

  async #waitForExit(output: Promise<unknown>): Promise<Exit> {
    await this.#child.exited;
    if (this.isWrapper && this.#isStopping) await Promise.race([output, Bun.sleep(WRAPPED_MS)]);
    // A program that Claude has started may keep the pipes open. One that has left the process group is not killed yet.
    killGroup(this.pid);
    await Promise.race([output, Bun.sleep(REST_MS)]);
    const { exitCode: code, signalCode } = this.#child;
    return { code, signal: signalCode === null ? null : String(signalCode) };
  }
}
