/** Pings the plugins at regular intervals, all at the same time, so that a server at rest wakes up once for all of them. */

export class Pings {
  readonly #ms: number;
  readonly #connections = new Set<{ ping(): void }>();
  #timer: Timer | undefined;

  /** @param ms time between two pings */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** Pings a connection from the next interval on. */
  add(connection: { ping(): void }): void {
    this.#connections.add(connection);
    this.#timer ??= setInterval(() => {
      for (const one of this.#connections) one.ping();
    }, this.#ms);
  }

  remove(connection: { ping(): void }): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
