/** Sits between a client and the server, and notes what each really sends and gets. */

interface Exchange {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly status: number;
  /** How the request got its process, as the server says. */
  readonly process: string | null;
}

export interface Relay {
  readonly url: string;
  readonly exchanges: readonly Exchange[];
  stop(): Promise<void>;
}

/** Starts a relay to the server at `target`, such as `http://127.0.0.1:18990`. */
export function startRelay(target: string): Relay {
  const exchanges: Exchange[] = [];
  const relay = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch({ url, method, headers: sent, body: stream, signal }) {
      const path = new URL(url).pathname;
      const body = stream === null ? null : await new Response(stream).text();
      const headers = new Headers(sent);
      // `fetch` writes these two itself.
      headers.delete("host");
      headers.delete("content-length");
      const response = await fetch(`${target}${path}`, { method, headers, body, signal });
      exchanges.push({
        path,
        headers: Object.fromEntries(sent),
        body: body === null ? null : JSON.parse(body),
        status: response.status,
        process: response.headers.get("x-synthesis-process"),
      });
      // `fetch` has decompressed the body.
      const received = new Headers(response.headers);
      received.delete("content-encoding");
      received.delete("content-length");
      return new Response(response.body, { status: response.status, headers: received });
    },
  });
  return { url: `http://127.0.0.1:${relay.port}`, exchanges, stop: () => relay.stop(true) };
}
