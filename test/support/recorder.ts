/**
 * A proxy between OpenClaw and the server that remembers what goes through, so that a test can say what the
 * real OpenClaw sends. With SYNTHESIS_TEST_SEEN set, each request is a file in that folder, too.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: ChatBody;
  /** Resolves when the answer has ended, or the client has gone before. */
  readonly closed: Promise<"complete" | "aborted">;
  /** The answer's status and headers. */
  readonly answered: Promise<Response>;
  /** Resolves when the first text has gone through to OpenClaw. */
  readonly spoken: Promise<void>;
}

interface ChatBody {
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly tools?: readonly unknown[];
  readonly [field: string]: unknown;
}

export interface Recorder {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly seen: readonly Seen[];
  /** Names the folder for what follows. */
  scenario(name: string): void;
  /** The first request from `from` on, also one already seen, whose body matches. */
  request(match: RegExp, from?: number): Promise<Seen>;
  /** Where the requests are passed on to; a server that was started anew has another port. */
  pointAt(url: string): void;
  stop(): Promise<void>;
}

export function startRecorder(target: string): Recorder {
  const seen: Seen[] = [];
  const waiting: { match: RegExp; resolve: (seen: Seen) => void }[] = [];
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
      // Nobody may be waiting for it.
      answer.promise.catch(() => {});
      const one: Seen = {
        method: request.method,
        path,
        headers: Object.fromEntries(request.headers),
        body: JSON.parse(text || "{}") as ChatBody,
        closed: end.promise,
        answered: answer.promise,
        spoken: first.promise,
      };
      seen.push(one);
      write(folder, seen.length, one);
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
        // Bun has unpacked it already.
        out.delete("content-encoding");
        out.delete("content-length");
        return new Response(passed ?? null, { status: response.status, headers: out });
      } catch (error) {
        answer.reject(error);
        end.resolve("aborted");
        // As OpenClaw would find it with no server there.
        return new Response((error as Error).message, { status: 502 });
      }
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}`,
    seen,
    scenario: (name) => {
      folder = name;
    },
    request: (match, from = 0) => {
      const known = seen.slice(from).find(({ body }) => match.test(JSON.stringify(body)));
      if (known) return Promise.resolve(known);
      const { promise, resolve } = Promise.withResolvers<Seen>();
      waiting.push({ match, resolve });
      return promise;
    },
    pointAt: (url) => {
      to = url;
    },
    stop: () => server.stop(true),
  };
}

function write(scenario: string, number: number, { method, path, headers, body }: Seen): void {
  const base = process.env.SYNTHESIS_TEST_SEEN;
  if (!base) return;
  const folder = join(base, scenario);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${String(number).padStart(3, "0")}.json`);
  writeFileSync(file, JSON.stringify({ method, path, headers, body }, null, 2), { mode: 0o600 });
}
