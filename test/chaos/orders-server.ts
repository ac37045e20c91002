/** The HTTP server from which stand-ins get their orders, and to which they report the point they have reached. */
import { type Command, DEFAULT_ORDERS, type Orders, type Point } from "./orders.ts";

/** A claude that has reached the point at which its orders hold it, and waits for a command. */
interface HeldClaude {
  /** Null for the real claude, which does not report it. */
  readonly pid: number | null;
  send(command: Command): void;
  /** Resolves when it has dropped its socket, as commanded. */
  readonly obeyed: Promise<void>;
}

export interface OrdersServer {
  readonly url: string;
  /** Sets the orders for a message. When the message comes again they still apply, except `hold`. */
  order(message: string, orders: Orders): void;
  /** The orders for a message; `DEFAULT_ORDERS` when none were set. */
  of(message: string): Orders;
  /** Reports that Claude has reached its point with this message; resolves with the next command. */
  hold(message: string, pid: number | null): Promise<Command>;
  /** Resolves when Claude is held with this message. */
  held(message: string): Promise<HeldClaude>;
  close(): Promise<void>;
}

export function startOrdersServer(): OrdersServer {
  const orders = new Map<string, Orders>();
  const holding = new Map<string, PromiseWithResolvers<HeldClaude>>();
  const obeyed = new Map<string, PromiseWithResolvers<void>>();
  const of = (message: string) => orders.get(message) ?? DEFAULT_ORDERS;
  const hold = (message: string, pid: number | null) => {
    const command = Promise.withResolvers<Command>();
    const done = Promise.withResolvers<void>();
    obeyed.set(message, done);
    holding.get(message)?.resolve({ pid, send: command.resolve, obeyed: done.promise });
    // A held claude either dies with the message or reports its point once, so it is never held again.
    orders.set(message, { ...of(message), hold: null });
    return command.promise;
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
    held: (message) => (holding.get(message) as PromiseWithResolvers<HeldClaude>).promise,
    close: () => server.stop(true),
  };
}
