/** One message through a real claude, with the time of each step. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { measureTrees } from "../claude/pool/memory.ts";
import { flagName } from "../config/load.ts";
import { pathsFor } from "../config/paths.ts";
import { MEGABYTE } from "../core/machine.ts";
import { newToken } from "../core/tokens.ts";
import { type Check, failed } from "./check.ts";

/** The start of a server and a claude, and a short answer of the model's. */
const PATIENCE_MS = 120_000;

const chunk = z.looseObject({
  choices: z.array(z.looseObject({ delta: z.looseObject({ content: z.string().optional() }) })).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
});

/**
 * Starts a server of its own, in a state folder of its own, and asks it something.
 * @param program how this program is started
 * @param env the user's environment; the state folder is replaced
 * @param user the user's configuration file and workspace, which hold here, too
 * @param flags the settings given on the command line
 */
export async function runSmokeTest(
  program: readonly string[],
  env: Record<string, string | undefined>,
  { configFile, workspace }: { configFile: string; workspace: string },
  flags: object,
): Promise<Check[]> {
  const home = mkdtempSync(join(tmpdir(), "synthesis-doctor-"));
  if (existsSync(configFile)) copyFileSync(configFile, join(home, "config.json"));
  const args = Object.entries(flags).flatMap(([name, value]) => [flagName(name), String(value)]);
  const key = newToken();
  const steps: Check[] = [];
  let last = performance.now();
  const step = (name: string) => {
    const ms = Math.round(performance.now() - last);
    steps.push({ name, result: "ok", found: `${ms} ms` });
    last = performance.now();
    return ms;
  };
  const server = Bun.spawn(
    [...program, "serve", ...args, "--workspace", workspace, "--home", home, "--bridge-port", "0"],
    {
      env: { ...env, SYNTHESIS_HOME: home, SYNTHESIS_API_KEY: key },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const patience = setTimeout(() => server.kill("SIGKILL"), PATIENCE_MS);
  const complaints = server.stderr.text();
  try {
    const origin = await listeningAt(server.stdout);
    if (!origin) throw new Error(inWords(await complaints) || "the server did not start");
    step("server started");
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: "POST",
      proxy: false,
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${key}`,
      },
      body: JSON.stringify({
        stream: true,
        user: "doctor",
        messages: [{ role: "user", content: "Answer with the one word: ready" }],
      }),
    });
    if (!response.ok) throw new Error(chunk.parse(await response.json()).error?.message);
    const startMs = step("claude started and took the message");
    let text = "";
    for await (const line of lines(response.body as ReadableStream<Uint8Array>)) {
      const data = line.replace(/^data: /, "");
      if (data === "" || data === "[DONE]") continue;
      const { choices, error } = chunk.parse(JSON.parse(data));
      if (error) throw new Error(error.message);
      const more = choices?.[0]?.delta.content ?? "";
      if (text === "" && more !== "") step("first text");
      text += more;
    }
    step("answer complete");
    const spare = spareCost(
      await claudeMemory(origin, readFileSync(pathsFor(home).controlKey, "utf8").trim()),
      startMs,
    );
    return [...steps, spare, { name: "live", result: "ok", found: "a real claude answered" }];
  } catch (error) {
    const advice = "Start `synthesis serve` with SYNTHESIS_LOG_LEVEL=debug and send it a message: its log says more.";
    return [...steps, failed("live", (error as Error).message, advice)];
  } finally {
    server.kill("SIGTERM");
    await server.exited;
    clearTimeout(patience);
    rmSync(home, { recursive: true, force: true });
  }
}

/** What a server that did not start has said to people: not its log, nor more than a few lines. */
const inWords = (stderr: string): string =>
  stderr
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("{"))
    .slice(0, 3)
    .join("\n");

const sessionList = z.looseObject({ data: z.tuple([z.looseObject({ pid: z.number() })]) });

/** What the one claude of this server takes, in bytes; null when the system does not tell. */
async function claudeMemory(origin: string, controlKey: string): Promise<number | null> {
  const response = await fetch(`${origin}/v1/sessions`, {
    headers: { authorization: `Bearer ${controlKey}` },
    proxy: false,
  });
  const { pid } = sessionList.parse(await response.json()).data[0];
  return (await measureTrees([pid])).get(pid) ?? null;
}

const spareCost = (bytes: number | null, startMs: number): Check => ({
  name: "a spare",
  result: "ok",
  found:
    `would take ${bytes === null ? "as much memory as any claude" : `${Math.round(bytes / MEGABYTE)} MB`}, and save a ` +
    `new conversation most of ${startMs} ms (SYNTHESIS_SPARES)`,
});

async function listeningAt(stdout: ReadableStream<Uint8Array>): Promise<string | null> {
  for await (const line of lines(stdout)) {
    const origin = /listens on (http:\S+)\/v1/.exec(line)?.[1];
    if (origin) return origin;
  }
  return null;
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
