/**
 * The process of a one-shot: one `claude --print` that answers one request and exits. The request goes in through stdin,
 * where no other user of the machine can read it.
 */
import { rmSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { requireExecutable } from "../claude/executable.ts";
import { killGroup } from "../claude/process-mark.ts";
import { spawnFailed } from "../claude/start-errors.ts";
import { PastDialogue } from "../claude/stream/past-dialogue.ts";
import { controlRequestLine, userMessageLine } from "../claude/stream/protocol.ts";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../core/clock.ts";
import { readLines } from "../core/read-lines.ts";
import type { OneShotRequest } from "../intake/one-shot-request.ts";
import type { SchemaChecker } from "../json-schema/checker.ts";
import type { AccountLimits } from "../limits/account.ts";
import type { Rejections } from "../limits/rejections.ts";
import type { CountedTurn } from "../store/usage.ts";
import { prepareLaunch } from "./launch.ts";
import { parseEvent, type StreamJsonEvent } from "./stream-json.ts";

const log = getLogger(["synthesis", "one-shot"]);

/** The time from SIGTERM to SIGKILL, and from the answer to SIGTERM if the process does not exit by itself. */
const STOP_TIMEOUT_MS = 5_000;
/** How many characters at the end of stderr are reported. */
const MAX_STDERR = 1_000;

export interface OneShotExit {
  /** For example `exit code 1` or `SIGKILL`. */
  readonly how: string;
  /** The end of what the process wrote to stderr. */
  readonly stderr: string;
}

export interface OneShotContext {
  readonly config: Config;
  /** A folder for this process alone. It is created for the process and removed after its exit. */
  readonly folder: string;
  /** The server's environment. */
  readonly env: Record<string, string | undefined>;
  readonly clock: Clock;
  readonly limits: Pick<AccountLimits, "note">;
  /** Checks answers that must fit a JSON Schema. */
  readonly checker: SchemaChecker;
  readonly rejections: Rejections;
  /** Counts the request and what it used. */
  readonly count: (request: Omit<CountedTurn, "conversation" | "agent">) => void;
}

export interface OneShotProcess {
  readonly pid: number;
  /** Resolves when the process has exited and its folder is removed. */
  readonly exited: Promise<OneShotExit>;
  /** When the process last wrote to stdout, on the monotonic clock; null before its first output. */
  readonly lastOutputAt: number | null;
  /** Asks for another answer. Only for an answer that must be JSON, and before `endInput`. */
  askAgain(note: string): void;
  /** Lets a process whose answer must be JSON exit. Any other exits after its answer. */
  endInput(): void;
  /** Sends SIGTERM, and SIGKILL if the process does not exit. */
  stop(): void;
  /** Sends SIGKILL. */
  kill(): void;
}

/**
 * Starts a process that answers `request`.
 * @param onEvent takes every event of the answer
 * @throws RequestError (`claude_not_found`, `claude_not_ready`) when the process cannot be started
 */
export function startOneShotProcess(
  request: OneShotRequest,
  { config, folder, env: parentEnv, clock }: OneShotContext,
  onEvent: (event: StreamJsonEvent) => void,
): OneShotProcess {
  const claude = requireExecutable(config, parentEnv);
  const { turns, claudeSchema } = request;
  let child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  let initialization: string | null;
  let past: PastDialogue;
  let message: string;
  try {
    const { argv, env, cwd } = prepareLaunch(request, folder, config, parentEnv);
    // Before the spawn, because it may throw: a process without an owner would never be stopped.
    const initialize = { subtype: "initialize", jsonSchema: claudeSchema };
    initialization = claudeSchema && controlRequestLine("initialize", initialize);
    past = new PastDialogue(turns.slice(0, -1), (line) => write(line));
    message = userMessageLine(crypto.randomUUID(), turns.at(-1)?.content ?? []);
    // `detached` makes a process group, so that everything that the process starts can be killed with it.
    child = Bun.spawn([claude, ...argv], { cwd, env, stdin: "pipe", stdout: "pipe", stderr: "pipe", detached: true });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw isSystemError(error) ? spawnFailed(error) : error;
  }

  let lastOutputAt: number | null = null;
  let cancelStop: (() => void) | undefined;
  const stop = () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    cancelStop?.();
    cancelStop = clock.after(STOP_TIMEOUT_MS, () => child.kill("SIGKILL"));
  };

  // The answer may not be valid, and then Claude is asked for another one.
  const mayAskAgain = request.format.type === "json";
  const useInput = async (use: () => unknown) => {
    try {
      await use();
    } catch {
      // The process has closed its stdin. Its exit reports why.
    }
  };
  const endInput = () => useInput(() => child.stdin.end());
  const write = (line: string) =>
    useInput(() => {
      child.stdin.write(`${line}\n`);
      return child.stdin.flush();
    });
  const writeRequest = async () => {
    if (initialization !== null) void write(initialization);
    await past.write();
    await write(message);
    if (!mayAskAgain) await endInput();
  };
  const expectExit = () => {
    cancelStop ??= clock.after(STOP_TIMEOUT_MS, stop);
  };
  const take = (event: StreamJsonEvent) => {
    // Such a result only says that a message was added to the conversation.
    if (event.type === "result" && !event.failed && past.noteRead()) return;
    onEvent(event);
    if (event.type === "result" && !mayAskAgain) expectExit();
  };
  const output = readLines(child.stdout, (line) => {
    lastOutputAt = clock.now();
    take(parseEvent(line));
  }).catch((error) => {
    // When nothing reads its output, a process blocks on a full pipe and cannot exit.
    child.kill("SIGKILL");
    log.error("one-shot killed, its output could not be handled: {error}", { pid: child.pid, error });
  });
  const stderr = child.stderr.text().catch(() => "");
  void writeRequest();

  const exited = (async (): Promise<OneShotExit> => {
    await child.exited;
    cancelStop?.();
    // This comes first, because a program that the process has started would keep the pipes open.
    killGroup(child.pid);
    await output;
    const lastStderr = (await stderr).trim().slice(-MAX_STDERR);
    rmSync(folder, { recursive: true, force: true });
    return {
      how: child.signalCode !== null ? `${child.signalCode}` : `exit code ${child.exitCode}`,
      stderr: lastStderr,
    };
  })();

  return {
    pid: child.pid,
    exited,
    get lastOutputAt() {
      return lastOutputAt;
    },
    askAgain: (note) => void write(userMessageLine(crypto.randomUUID(), [{ type: "text", text: note }])),
    endInput: () => {
      void endInput();
      expectExit();
    },
    stop,
    kill: () => child.kill("SIGKILL"),
  };
}

/** Whether the operating system refused the spawn. Any other error is a bug. */
const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  typeof (error as NodeJS.ErrnoException).code === "string";
