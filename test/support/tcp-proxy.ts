/** A TCP proxy that can be switched off, for tests of partitions: between a node and Postgres, or between two nodes. */
import { connect, createServer, type Socket } from "node:net";

export type Target = { readonly host: string; readonly port: number } | { readonly path: string };

export interface TcpProxy extends AsyncDisposable {
  /** On 127.0.0.1. */
  readonly port: number;
  /** The number of open connections of clients. */
  readonly connections: number;
  /** Resets all connections, and each new one at once, as where the service has ended. */
  cut(): void;
  /** Lets no byte and no end of a connection through, as where a cable was pulled. New connections are accepted. */
  stall(): void;
  /** Lets everything through again. What was held by `stall` arrives now, in its order. */
  resume(): void;
  /** Connects to another target from now on. */
  retarget(target: Target): void;
}

export async function startTcpProxy(first: Target): Promise<TcpProxy> {
  let target = first;
  let state: "open" | "cut" | "stalled" = "open";
  const clients = new Set<Socket>();
  const sockets = new Set<Socket>();
  /** What happens when a stall ends. */
  let held: (() => void)[] = [];
  const pass = (action: () => void) => {
    if (state === "stalled") held.push(action);
    else action();
  };

  const link = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (bytes) => pass(() => to.write(bytes)));
    from.on("end", () => pass(() => to.end()));
    // A reset, or a target that does not listen, is passed on as a reset.
    from.on("error", () => pass(() => to.resetAndDestroy()));
    from.on("close", () => {
      sockets.delete(from);
      clients.delete(from);
    });
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (state === "cut") return void client.resetAndDestroy();
    clients.add(client);
    const upstream = connect({ ...target, allowHalfOpen: true });
    link(client, upstream);
    link(upstream, client);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;

  const reset = () => {
    held = [];
    for (const socket of [...sockets]) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as { port: number }).port,
    get connections() {
      return clients.size;
    },
    cut: () => {
      state = "cut";
      reset();
    },
    retarget: (next) => {
      target = next;
    },
    stall: () => {
      state = "stalled";
    },
    resume: () => {
      state = "open";
      const actions = held;
      held = [];
      for (const action of actions) action();
    },
    [Symbol.asyncDispose]: async () => {
      state = "cut";
      reset();
      await new Promise((closed) => server.close(closed));
    },
  };
}
