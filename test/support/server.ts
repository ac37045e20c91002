/**
 * Starts the server under test as a user does: the program in its own process, the configuration in the
 * environment, the address from its output.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import OpenAI from "openai";

const root = join(import.meta.dir, "../..");
/** The real claude: a pinned development dependency, or the other version that `bun run test:claude` names. */
export const REAL_CLAUDE = process.env.SYNTHESIS_TEST_CLAUDE ?? join(root, "node_modules/.bin/claude");
/**
 * The command that runs the program: from source, or the binary in SYNTHESIS_TEST_PROGRAM, which starts in a third of
 * the time. Relative paths start at the root of the project.
 */
export const PROGRAM: readonly string[] = process.env.SYNTHESIS_TEST_PROGRAM
  ? [resolve(root, process.env.SYNTHESIS_TEST_PROGRAM)]
  : preloaded();

/**
 * The command that runs the program from source.
 * @param modules that look into its process: paths from this folder
 */
export function preloaded(...modules: readonly string[]): readonly string[] {
  const preloads = modules.flatMap((module) => ["--preload", join(import.meta.dir, module)]);
  return [process.execPath, ...preloads, join(root, "src/main.ts")];
}

export interface TestServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly key: string;
  readonly pid: number;
  /** OpenAI's own client for this server. */
  readonly openai: OpenAI;
  /** The log so far. */
  readonly log: () => string;
  /** Resolves with the first line of its standard output that matches. */
  printed(match: RegExp): Promise<string>;
  /** Resolves with the first line of the log that matches. */
  logged(match: RegExp): Promise<string>;
  /** Posts a chat request as curl would. */
  post(body: object, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>;
  readonly exited: Promise<number>;
  /** Sends a signal, by default SIGTERM, and waits for the exit. */
  stop(signal?: NodeJS.Signals): Promise<number>;
}

/**
 * @param env the whole environment of the server: HOME, PATH and its settings
 * @param program the command that starts it, without `serve`
 */
export async function startServer(env: Record<string, string>, program = PROGRAM): Promise<TestServer> {
  const child = Bun.spawn([...program, "serve"], {
    env: { SYNTHESIS_BRIDGE_PORT: "0", SYNTHESIS_LOG_LEVEL: "debug", SYNTHESIS_DRAIN_MS: "5000", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const out = collect(child.stdout);
  const err = collect(child.stderr);
  const started = await Promise.race([out.match(/listens on (http:\S+)\/v1/), child.exited.then(() => null)]);
  if (!started) throw new Error(`the server did not start:\n${out.text()}${err.text()}`);
  const url = /listens on (http:\S+)\/v1/.exec(started)?.[1] as string;
  const keyFile = /API key: (.*)/.exec(await out.match(/API key: .*/))?.[1] as string;
  const key = env.SYNTHESIS_API_KEY ?? readFileSync(keyFile, "utf8").trim();

  return {
    url,
    key,
    pid: child.pid,
    openai: new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 }),
    log: err.text,
    logged: err.match,
    printed: out.match,
    post: (body, headers = {}, signal) =>
      fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${key}`, ...headers },
        body: JSON.stringify(body),
        ...(signal ? { signal } : {}),
      }),
    exited: child.exited,
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      return child.exited;
    },
  };
}

/** Collects the lines of a stream. `match` resolves with the first line that matches. */
function collect(stream: ReadableStream<Uint8Array>) {
  let all = "";
  const waiting: { match: RegExp; resolve: (line: string) => void }[] = [];
  const find = (match: RegExp) => all.split("\n").find((line) => match.test(line));
  void (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      all += decoder.decode(bytes, { stream: true });
      for (const one of [...waiting]) {
        const line = find(one.match);
        if (line === undefined) continue;
        waiting.splice(waiting.indexOf(one), 1);
        one.resolve(line);
      }
    }
  })();
  return {
    text: () => all,
    match: (match: RegExp): Promise<string> => {
      const line = find(match);
      if (line !== undefined) return Promise.resolve(line);
      const { promise, resolve } = Promise.withResolvers<string>();
      waiting.push({ match, resolve });
      return promise;
    },
  };
}
