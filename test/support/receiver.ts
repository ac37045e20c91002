/** A service that receives notifications: it records what is posted to it, and answers as the test says. */

interface Received {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  /** The body as JSON. */
  readonly json: Record<string, unknown>;
}

export interface Receiver extends AsyncDisposable {
  readonly origin: string;
  readonly port: number;
  readonly received: readonly Received[];
  /** Answers the requests from now on, by default with 200. */
  answer(how: () => Response | Promise<Response>): void;
  /** The request with this number, from 1, already received or still to come. */
  get(number: number): Promise<Received>;
  stop(): Promise<void>;
}

/** @param port 0 for any free one */
export function startReceiver(port = 0): Receiver {
  const received: Received[] = [];
  const waiting: { readonly number: number; readonly resolve: (one: Received) => void }[] = [];
  let answer: () => Response | Promise<Response> = () => new Response("ok");

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: 0,
    async fetch(request) {
      const body = await request.text();
      const one = {
        path: new URL(request.url).pathname,
        headers: request.headers.toJSON(),
        body,
        get json() {
          return JSON.parse(body);
        },
      };
      received.push(one);
      for (const { resolve } of waiting.filter(({ number }) => number === received.length)) resolve(one);
      return answer();
    },
  });

  const stop = () => server.stop(true);
  return {
    origin: server.url.origin,
    port: server.port as number,
    received,
    answer: (how) => {
      answer = how;
    },
    get: (number) => {
      const known = received[number - 1];
      if (known) return Promise.resolve(known);
      const { promise, resolve } = Promise.withResolvers<Received>();
      waiting.push({ number, resolve });
      return promise;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
