/** Sends one message through a server and a real Claude Code, and measures each step: `synthesis doctor --live`. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { measureTrees } from "../claude/pool/memory.ts";
import { pathsFor } from "../config/paths.ts";
import { flagName } from "../config/setting-names.ts";
import { MEGABYTE } from "../core/machine.ts";
import { newToken } from "../core/tokens.ts";
import { type Check, subject } from "./check.ts";

/** The time limit for starting a server and an agent process, and for a short answer of the model. */
const TIMEOUT_MS = 120_000;

const live = subject("live");

interface SmokeTest {
  /** The command that starts this program. */
  readonly program: readonly string[];
  /** The user's environment. Its state folder is not used. */
  readonly env: Record<string, string | undefined>;
  /** The user's configuration file and workspace, which are used. */
  readonly configFile: string;
  readonly workspace: string;
  /** The settings given on the command line. */
  readonly flags: object;
}

/** Starts a server with a state folder of its own and asks it one question. @returns a check for each step */
export async function runSmokeTest({ program, env, configFile, workspace, flags }: SmokeTest): Promise<Check[]> {
  const home = mkdtempSync(join(tmpdir(), "synthesis-doctor-"));
  if (existsSync(configFile)) copyFileSync(configFile, join(home, "config.json"));
  const args = Object.entries(flags).flatMap(([name, value]) => [flagName(name), String(value)]);
  const key = newToken();
  const { steps, step } = stopwatch();
  const server = Bun.spawn(
    // A notification about this server would only confuse.
    [...program, "serve", ...args, "--workspace", workspace, "--home", home, "--bridge-port", "0", "--notify-url", ""],
    {
      env: { ...env, SYNTHESIS_HOME: home, SYNTHESIS_API_KEY: key },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const timeout = setTimeout(() => server.kill("SIGKILL"), TIMEOUT_MS);
  const stderr = server.stderr.text();
  try {
    const origin = await listeningAddress(server.stdout);
    if (!origin) throw new Error(printedMessages(await stderr) || "the server did not start");
    step("server_started", "server started");
    const response = await ask(origin, key);
    const startMs = step("message_accepted", "claude started and took the message");
    let hasText = false;
    for await (const _text of answerTexts(response)) {
      if (!hasText) step("first_text", "first text");
      hasText = true;
    }
    step("answer_complete", "answer complete");
    const controlKey = readFileSync(pathsFor(home).controlKey, "utf8").trim();
    const spare = spareCheck(await agentProcessMemory(origin, controlKey), startMs);
    return [...steps, spare, live.ok("Claude Code answered")];
  } catch (error) {
    const advice = "Start `synthesis serve` with SYNTHESIS_LOG_LEVEL=debug and send a message. Its log says more.";
    return [...steps, live.failed("failed", (error as Error).message, advice)];
  } finally {
    server.kill("SIGTERM");
    await server.exited;
    clearTimeout(timeout);
    rmSync(home, { recursive: true, force: true });
  }
}

/** Measures consecutive steps. */
function stopwatch() {
  const steps: Check[] = [];
  let last = performance.now();
  return {
    steps,
    /** Ends a step. @returns how long it took, in ms */
    step: (id: string, name: string): number => {
      const ms = Math.round(performance.now() - last);
      steps.push({ id: `live.${id}`, name, result: "ok", found: `${ms} ms` });
      last = performance.now();
      return ms;
    },
  };
}

/** The address that the server prints when it has started; null when it exits without having started. */
async function listeningAddress(stdout: ReadableStream<Uint8Array>): Promise<string | null> {
  for await (const line of lines(stdout)) {
    const origin = /listens on (http:\S+)\/v1/.exec(line)?.[1];
    if (origin) return origin;
  }
  return null;
}

/** The first lines that the server printed for people on stderr. Lines of its log are JSON objects. */
const printedMessages = (stderr: string): string =>
  stderr
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("{"))
    .slice(0, 3)
    .join("\n");

const chunk = z.looseObject({
  choices: z.array(z.looseObject({ delta: z.looseObject({ content: z.string().optional() }) })).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
});

async function ask(origin: string, key: string): Promise<Response> {
  const response = await fetch(`${origin}/v1/chat/completions`, {
    method: "POST",
    // Bun would send the request, with the key, through the proxy that HTTP_PROXY names.
    proxy: false,
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({
      stream: true,
      user: "doctor",
      messages: [{ role: "user", content: "Answer with the one word: ready" }],
    }),
  });
  if (response.ok) return response;
  throw new Error(chunk.parse(await response.json()).error?.message);
}

/** The texts of a streamed answer. @throws when the stream contains an error */
async function* answerTexts(response: Response): AsyncGenerator<string> {
  for await (const line of lines(response.body as ReadableStream<Uint8Array>)) {
    const data = line.replace(/^data: /, "");
    if (data === "" || data === "[DONE]") continue;
    const { choices, error } = chunk.parse(JSON.parse(data));
    if (error) throw new Error(error.message);
    const text = choices?.[0]?.delta.content;
    if (text) yield text;
  }
}

const sessionList = z.looseObject({ data: z.tuple([z.looseObject({ pid: z.number() })]) });

/** The memory of the server's one agent process, in bytes; null when the system does not report it. */
async function agentProcessMemory(origin: string, controlKey: string): Promise<number | null> {
  const response = await fetch(`${origin}/v1/sessions`, {
    headers: { authorization: `Bearer ${controlKey}` },
    proxy: false,
  });
  const { pid } = sessionList.parse(await response.json()).data[0];
  return (await measureTrees([pid])).get(pid) ?? null;
}

/** What one spare process costs, and what it saves. */
function spareCheck(bytes: number | null, startMs: number): Check {
  const memory = bytes === null ? "as much memory as any agent process" : `${Math.round(bytes / MEGABYTE)} MB`;
  return {
    id: "live.spare",
    name: "a spare",
    result: "ok",
    found: `would take ${memory}, and save a new conversation most of ${startMs} ms (SYNTHESIS_SPARES)`,
  };
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
