/**
 * A proxy between OpenClaw and the server that records the requests, so that a test can check what the real OpenClaw
 * sends. With SYNTHESIS_TEST_SEEN it also writes each request to a file in that folder.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: ChatBody;
  /** Resolves when the answer is complete, or when OpenClaw has disconnected before. */
  readonly closed: Promise<"complete" | "aborted">;
  /** The status and headers of the answer. */
  readonly answered: Promise<Response>;
  /** Resolves when OpenClaw has been sent the first text. */
  readonly firstText: Promise<void>;
}

interface ChatBody {
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly tools?: readonly unknown[];
  readonly [field: string]: unknown;
}

export interface Recorder {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly requests: readonly RecordedRequest[];
  /** Names the folder for the next requests. */
  scenario(name: string): void;
  /** The first request with a matching body, already recorded or still to come. @param from the index of the first */
  request(match: RegExp, from?: number): Promise<RecordedRequest>;
  /** Changes the server that gets the requests: a restarted one has another port. */
  pointAt(url: string): void;
  stop(): Promise<void>;
}

export function startRecorder(target: string): Recorder {
  const requests: RecordedRequest[] = [];
  const waiting: { match: RegExp; resolve: (request: RecordedRequest) => void }[] = [];
  let to = target;
  let folder = "start";

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const path = new URL(request.url).pathname;
      const text = await request.text();
      const end = Promise.withResolvers<"complete" | "aborted">();
      const answer = Promise.withResolvers<Response>();
      const first = Promise.withResolvers<void>();
      // A test may ignore the answer, and then its rejection must not fail the run.
      answer.promise.catch(() => {});
      const one: RecordedRequest = {
        method: request.method,
        path,
        headers: Object.fromEntries(request.headers),
        body: JSON.parse(text || "{}") as ChatBody,
        closed: end.promise,
        answered: answer.promise,
        firstText: first.promise,
      };
      requests.push(one);
      write(folder, requests.length, one);
      request.signal.addEventListener("abort", () => end.resolve("aborted"));
      for (const waiter of waiting.filter(({ match }) => match.test(text))) {
        waiting.splice(waiting.indexOf(waiter), 1);
        waiter.resolve(one);
      }
      const headers = new Headers(request.headers);
      headers.delete("host");
      try {
        const response = await fetch(`${to}${path}`, {
          method: request.method,
          headers,
          body: text,
          signal: request.signal,
        });
        answer.resolve(response);
        const passed = response.body?.pipeThrough(
          new TransformStream<Uint8Array, Uint8Array>({
            transform: (bytes, controller) => {
              controller.enqueue(bytes);
              if (/"content":"[^"]/.test(new TextDecoder().decode(bytes))) first.resolve();
            },
            flush: () => end.resolve("complete"),
          }),
        );
        const out = new Headers(response.headers);
        // fetch has decompressed the body already.
        out.delete("content-encoding");
        out.delete("content-length");
        return new Response(passed ?? null, { status: response.status, headers: out });
      } catch (error) {
        answer.reject(error);
        end.resolve("aborted");
        // OpenClaw gets an error, as from a server that does not run.
        return new Response((error as Error).message, { status: 502 });
      }
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    scenario: (name) => {
      folder = name;
    },
    request: (match, from = 0) => {
      const known = requests.slice(from).find(({ body }) => match.test(JSON.stringify(body)));
      if (known) return Promise.resolve(known);
      const { promise, resolve } = Promise.withResolvers<RecordedRequest>();
      waiting.push({ match, resolve });
      return promise;
    },
    pointAt: (url) => {
      to = url;
    },
    stop: () => server.stop(true),
  };
}

function write(scenario: string, number: number, { method, path, headers, body }: RecordedRequest): void {
  const base = process.env.SYNTHESIS_TEST_SEEN;
  if (!base) return;
  const folder = join(base, scenario);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${String(number).padStart(3, "0")}.json`);
  writeFileSync(file, JSON.stringify({ method, path, headers, body }, null, 2), { mode: 0o600 });
}
