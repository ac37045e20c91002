/**
 * The server under test, as its user starts it: the program in a process of its own, its configuration
 * in the environment, its address read from what it prints.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";

const root = join(import.meta.dir, "../..");
/** The real claude, a pinned development dependency. */
export const REAL_CLAUDE = join(root, "node_modules/.bin/claude");
/** The program: from source, or the binary that SYNTHESIS_TEST_PROGRAM names. */
export const PROGRAM: readonly string[] = process.env.SYNTHESIS_TEST_PROGRAM
  ? [process.env.SYNTHESIS_TEST_PROGRAM]
  : [process.execPath, join(root, "src/main.ts")];

export interface TestServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly key: string;
  readonly pid: number;
  /** The official client, talking to this server. */
  readonly openai: OpenAI;
  /** Everything logged so far. */
  readonly log: () => string;
  /** Resolves when a line of what it prints for people matches. */
  printed(match: RegExp): Promise<string>;
  /** Resolves when a line of the log matches. */
  logged(match: RegExp): Promise<string>;
  /** Posts a chat request as curl would. */
  post(body: object, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>;
  readonly exited: Promise<number>;
  /** Ends it with SIGTERM and waits. */
  stop(signal?: NodeJS.Signals): Promise<number>;
}

/**
 * @param env what the server sees, and nothing else: HOME, PATH and its settings
 * @param program how it is started
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

/** Collects a stream's lines, and tells when one matches. */
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
