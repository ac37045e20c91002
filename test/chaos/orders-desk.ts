/** Where stand-ins get their orders, and say where they are. */
import { type Orders, PLAIN, type Point, type Word } from "./orders.ts";

/** A claude that has come to the point that its orders hold, and waits for word. */
interface Held {
  /** Null for the real claude, which does not say. */
  readonly pid: number | null;
  say(word: Word): void;
  /** Resolves when it has lost its socket, as told. */
  readonly obeyed: Promise<void>;
}

export interface OrdersDesk {
  readonly url: string;
  /** Gives orders for a message; they hold when it comes again, but for the point. */
  order(message: string, orders: Orders): void;
  /** The orders for a message; plain ones if nothing else is said. */
  of(message: string): Orders;
  /** Claude is there with this message; resolves with the word for it. */
  hold(message: string, pid: number | null): Promise<Word>;
  /** Resolves when claude holds with this message. */
  held(message: string): Promise<Held>;
  close(): Promise<void>;
}

export function openOrdersDesk(): OrdersDesk {
  const orders = new Map<string, Orders>();
  const holding = new Map<string, PromiseWithResolvers<Held>>();
  const obeyed = new Map<string, PromiseWithResolvers<void>>();
  const of = (message: string) => orders.get(message) ?? PLAIN;
  const hold = (message: string, pid: number | null) => {
    const word = Promise.withResolvers<Word>();
    const done = Promise.withResolvers<void>();
    obeyed.set(message, done);
    holding.get(message)?.resolve({ pid, say: word.resolve, obeyed: done.promise });
    // Whoever is held dies with it, or asks once.
    orders.set(message, { ...of(message), hold: null });
    return word.promise;
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { message, pid } = (await request.json()) as { message: string; point?: Point; pid: number };
      switch (new URL(request.url).pathname) {
        case "/orders":
          return Response.json(of(message));
        case "/at":
          return Response.json(await hold(message, pid));
        default:
          obeyed.get(message)?.resolve();
          return Response.json({});
      }
    },
  });
  return {
    url: server.url.origin,
    of,
    hold,
    order: (message, given) => {
      orders.set(message, given);
      holding.set(message, Promise.withResolvers());
    },
    held: (message) => (holding.get(message) as PromiseWithResolvers<Held>).promise,
    close: () => server.stop(true),
  };
}
