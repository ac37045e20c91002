/**
 * Checks values against JSON Schemas of clients, in a thread that is stopped when a check takes too long. The thread is
 * started for the first check, and ends when there is none for a while.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { type Clock, systemClock } from "../core/clock.ts";
import type { JsonSchema } from "../core/tools.ts";
import { type CheckRequest, type CheckResponse, READY } from "./check-messages.ts";

const log = getLogger(["synthesis", "json-schema"]);

/** How long one check may take, in ms. */
const CHECK_MS = 1_000;
/** How long the thread may take to start, in ms. */
const START_MS = 10_000;
/** After how long without a check the thread ends, in ms. */
const IDLE_MS = 30_000;

/** What the thread sends; null when it has failed, was stopped, or took too long. */
type ThreadMessage = CheckResponse | typeof READY | null;

const UNCHECKED: CheckResponse = { problem: null, leftOut: ["the whole schema"] };

export class SchemaChecker {
  readonly #clock: Clock;
  #thread: Worker | null = null;
  /** Resolves when the checks before have ended: the thread does one at a time. */
  #previous: Promise<unknown> = Promise.resolve();
  #takeMessage = (_message: ThreadMessage) => {};
  #cancelIdle = () => {};
  #isClosed = false;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** The thread runs. */
  get isRunning(): boolean {
    return this.#thread !== null;
  }

  /**
   * Checks a value. What cannot be checked, or not in time, is left out.
   * @param text the value as JSON; null to learn only what of the schema cannot be checked
   */
  check(schema: JsonSchema, text: string | null): Promise<CheckResponse> {
    const checked = this.#previous.then(() => this.#check(schema, text));
    this.#previous = checked;
    return checked;
  }

  /** Stops the thread for good. A check that runs, or comes later, ends as one that took too long. */
  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  async #check(schema: JsonSchema, text: string | null): Promise<CheckResponse> {
    this.#cancelIdle();
    // A regular expression is the likely reason for a check that takes too long.
    const response =
      (await this.#ask({ schema, text, withPatterns: true })) ??
      (await this.#ask({ schema, text, withPatterns: false }));
    this.#cancelIdle = this.#clock.after(IDLE_MS, () => this.#stop());
    return response ?? UNCHECKED;
  }

  /** @returns null when the thread did not answer in time */
  async #ask(request: CheckRequest): Promise<CheckResponse | null> {
    if (this.#isClosed) return null;
    if (this.#thread === null) {
      this.#thread = this.#start();
      if ((await this.#nextMessage(START_MS)) === null) return null;
    }
    const message = this.#nextMessage(CHECK_MS);
    this.#thread?.postMessage(request);
    const response = await message;
    return response === READY ? null : response;
  }

  #start(): Worker {
    const thread = new Worker(THREAD);
    // It must not keep the program running.
    thread.unref();
    // A message of a thread that was stopped may still arrive.
    const take = (message: ThreadMessage) => {
      if (this.#thread === thread) this.#takeMessage(message);
    };
    thread.onmessage = ({ data }) => take(data);
    thread.onerror = ({ message }) => {
      log.error("the thread that checks JSON has failed: {message}", { message });
      take(null);
    };
    return thread;
  }

  /** Waits for the thread. @returns null when it has failed or was stopped; after `ms` it is stopped here */
  async #nextMessage(ms: number): Promise<ThreadMessage> {
    const { promise, resolve } = Promise.withResolvers<ThreadMessage>();
    this.#takeMessage = resolve;
    const cancel = this.#clock.after(ms, () => resolve(null));
    const message = await promise;
    cancel();
    if (message === null) this.#stop();
    return message;
  }

  #stop(): void {
    this.#cancelIdle();
    this.#thread?.terminate();
    this.#thread = null;
    this.#takeMessage(null);
  }
}

/** The compiled binary has the thread's program as an entry point of its own. */
const THREAD = Bun.isStandaloneExecutable ? "./json-schema/worker.ts" : join(import.meta.dir, "worker.ts");
