/**
 * A claude for one answer: `claude -p`, without tools, hooks, plugins and files, that keeps nothing.
 *
 * The request's messages go in through stdin, where nobody else can read them. Each but the last is only
 * taken into the conversation (`shouldQuery: false`), and claude says when: what the assistant said next
 * may not be written before that, or it would come first. All are `client_composed`: claude would
 * otherwise take a leading `/` for a command of its own, and read any file that is named behind an `@`.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { isApproved } from "../claude/api-key.ts";
import { inheritedEnvironment, retries, UNATTENDED } from "../claude/environment.ts";
import { requireExecutable } from "../claude/executable.ts";
import { makeMarkedFolder } from "../claude/marked-folder.ts";
import { killGroup, MARK_VARIABLE } from "../claude/process-mark.ts";
import { spawnFailed } from "../claude/start-errors.ts";
import type { Config } from "../config/schema.ts";
import type { DialogueTurn, OneShotRequest } from "../intake/one-shot-request.ts";
import { parseEvent, type StreamJsonEvent } from "./stream-json.ts";

const log = getLogger(["synthesis", "one-shot"]);

/** From SIGTERM to SIGKILL, and from the answer to SIGTERM. */
const KILL_AFTER_MS = 5_000;
const STDERR_SHOWN = 1_000;
const NO_SYSTEM_PROMPT = "You are a helpful assistant.";

type Env = Record<string, string | undefined>;

interface OneShotExit {
  /** As `exit code 1` or `SIGKILL`. */
  readonly how: string;
  /** The end of what it wrote to stderr. */
  readonly said: string;
}

export interface OneShotProcess {
  readonly pid: number;
  /** Resolves when it is gone, and its folder with it. */
  readonly exited: Promise<OneShotExit>;
  /** When it last wrote anything, in ms of `performance.now()`; null before it did. */
  readonly lastSignAt: number | null;
  /** Ends it, politely first. */
  stop(): void;
  /** Ends it at once. */
  kill(): void;
}

/**
 * Starts a claude that answers `question`, and ends by itself when it has.
 * @param folder its own, made here with mode 0700 and removed with it
 * @param onLine gets what it writes, but the results of messages that it only takes in
 * @throws ApiError (503) when it cannot be started
 */
export function startOneShot(
  question: OneShotRequest,
  folder: string,
  config: Config,
  parentEnv: Env,
  onLine: (line: StreamJsonEvent) => void,
): OneShotProcess {
  const claude = requireExecutable(config, parentEnv);
  let child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  let steps: string[];
  try {
    const { argv, env, cwd } = prepare(question, folder, config, parentEnv);
    // All that can fail comes before the spawn: a claude must not run that has no owner.
    steps = inputSteps(question);
    child = Bun.spawn([claude, ...argv], {
      cwd,
      env,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      // A group of its own, so that whatever it starts can be ended with it.
      detached: true,
    });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw spawnFailure(error);
  }

  let lastSignAt: number | null = null;
  let killTimer: Timer | undefined;
  const stop = () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    clearTimeout(killTimer);
    killTimer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
  };

  const writeNext = async () => {
    try {
      child.stdin.write(steps.shift() ?? "");
      if (steps.length === 0) await child.stdin.end();
      else await child.stdin.flush();
    } catch {
      // It reads no more: its exit says why.
    }
  };
  const take = (line: StreamJsonEvent) => {
    if (line.type === "result" && !line.failed && steps.length > 0) void writeNext();
    else {
      onLine(line);
      // It ends by itself; if not, it is helped.
      if (line.type === "result") killTimer ??= setTimeout(stop, KILL_AFTER_MS);
    }
  };
  const output = readLines(child.stdout, (json) => {
    lastSignAt = performance.now();
    take(parseEvent(json));
  }).catch((error) => {
    // Its output is read no more, so it could not end by itself.
    child.kill("SIGKILL");
    log.error("a one-shot was ended, its output could not be handled: {error}", { pid: child.pid, error });
  });
  const stderr = child.stderr.text().catch(() => "");
  void writeNext();

  const exited = (async (): Promise<OneShotExit> => {
    await child.exited;
    clearTimeout(killTimer);
    // Before its pipes are read to their end: a program it has started would keep them open.
    killGroup(child.pid);
    await output;
    const said = (await stderr).trim().slice(-STDERR_SHOWN);
    rmSync(folder, { recursive: true, force: true });
    return { how: child.signalCode !== null ? `${child.signalCode}` : `exit code ${child.exitCode}`, said };
  })();

  return {
    pid: child.pid,
    exited,
    get lastSignAt() {
      return lastSignAt;
    },
    stop,
    kill: () => child.kill("SIGKILL"),
  };
}

/** What is not the system's refusal to start a program is a fault of ours, and stays what it is. */
const spawnFailure = (error: unknown): unknown =>
  typeof (error as NodeJS.ErrnoException).code === "string" ? spawnFailed(error as NodeJS.ErrnoException) : error;

/** Writes the files of one claude and says how to start it. */
function prepare(question: OneShotRequest, folder: string, config: Config, parentEnv: Env) {
  // It starts in a folder without anything, so that there is nothing of the user's to read.
  const cwd = join(folder, "empty");
  makeMarkedFolder(folder);
  mkdirSync(cwd, { recursive: true, mode: 0o700 });
  const file = (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const ours = {
    ...UNATTENDED,
    [MARK_VARIABLE]: basename(folder),
    /** A fence behind the fence: read files named in messages. */
    CLAUDE_CODE_DISABLE_ATTACHMENTS: "1",
    /** Costs a fifth of the start, and leaves a file behind where it cannot be sent. */
    DISABLE_TELEMETRY: "1",
  };
  const env: Record<string, string> = { ...inheritedEnvironment(parentEnv), ...retries(parentEnv), ...ours };
  const key = env.ANTHROPIC_API_KEY;
  if (key && !config.useApiKey && !isApproved(key, parentEnv)) delete env.ANTHROPIC_API_KEY;
  return {
    cwd,
    env,
    argv: [
      "--print",
      "--input-format",
      "stream-json",
      "--output-format",
      "stream-json",
      "--include-partial-messages",
      "--verbose",
      "--no-session-persistence",
      // No CLAUDE.md, hooks, plugins, MCP servers and skills; login and model as always.
      "--safe-mode",
      "--strict-mcp-config",
      "--setting-sources",
      "user",
      "--disable-slash-commands",
      "--tools",
      "",
      "--permission-mode",
      "dontAsk",
      "--settings",
      file("settings.json", JSON.stringify({ disableAllHooks: true, env: ours })),
      "--system-prompt-file",
      file("system-prompt.md", question.system || NO_SYSTEM_PROMPT),
      "--effort",
      question.effort ?? config.effort,
      ...(question.model ? ["--model", question.model] : []),
    ],
  };
}

/** What is written to stdin: a piece now, and the next one whenever a message has been taken in. */
function inputSteps({ turns, format }: OneShotRequest): string[] {
  const steps: string[] = [];
  let piece = "";
  if (format.type === "json" && format.schema) {
    const request = { subtype: "initialize", jsonSchema: format.schema };
    piece = jsonLine({ type: "control_request", request_id: "initialize", request });
  }
  turns.forEach(({ role, content }: DialogueTurn, index) => {
    const message = { role, content };
    if (role === "assistant") piece += jsonLine({ type: "assistant", message });
    else {
      const query = index === turns.length - 1 ? {} : { shouldQuery: false };
      steps.push(piece + jsonLine({ type: "user", client_composed: true, ...query, message }));
      piece = "";
    }
  });
  return steps;
}

const jsonLine = (value: object): string => `${JSON.stringify(value)}\n`;

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const [first = "", ...lines] = decoder.decode(bytes, { stream: true }).split("\n");
    // Not split anew with each piece: a line may have many megabytes.
    rest += first;
    for (const next of lines) {
      if (rest !== "") onLine(rest);
      rest = next;
    }
  }
  if (rest !== "") onLine(rest);
}
