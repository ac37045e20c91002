/** Our control requests to Claude Code over stream-json, and its responses. */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../core/clock.ts";
import { type ControlResponse, controlRequestLine } from "./protocol.ts";

const log = getLogger(["synthesis", "process"]);

/** What a request asks for, and what it takes. */
export interface ControlBody {
  readonly subtype: string;
  readonly [field: string]: unknown;
}

/** A response: what it contains, and why Claude Code refused the request; null when it did not. */
export interface ControlAnswer {
  readonly content: ControlResponse["response"]["response"];
  readonly refusal: string | null;
}

export class ControlRequests {
  readonly #write: (line: string) => unknown;
  readonly #logFields: () => { session: string; pid: number };
  readonly #clock: Clock;
  /** Requests without a response, by their ids. */
  readonly #waiting = new Map<string, (answer: ControlAnswer) => void>();
  #sent = 0;
  #isClosed = false;

  /**
   * @param write writes a line to Claude Code
   * @param logFields names the process in the log
   */
  constructor(write: (line: string) => unknown, logFields: () => { session: string; pid: number }, clock: Clock) {
    this.#write = write;
    this.#logFields = logFields;
    this.#clock = clock;
  }

  /** Sends a request whose response matters only to the log. */
  send(request: ControlBody): string {
    this.#sent += 1;
    const id = `${request.subtype} ${this.#sent}`;
    this.#write(controlRequestLine(id, request));
    return id;
  }

  /**
   * Sends a request and waits for its response. It never rejects: without a response in `ms`, or when the process exits
   * before, the request counts as refused.
   */
  async ask(request: ControlBody, ms: number): Promise<ControlAnswer> {
    if (this.#isClosed) return EXITED;
    const { promise, resolve } = Promise.withResolvers<ControlAnswer>();
    const id = this.send(request);
    this.#waiting.set(id, resolve);
    const cancel = this.#clock.after(ms, () => resolve(refused(`there was no response in ${ms} ms`)));
    const answer = await promise;
    cancel();
    this.#waiting.delete(id);
    return answer;
  }

  /** Takes a response of Claude Code's. */
  receive({ response: { request_id: id, subtype, error = "it did not say why", response } }: ControlResponse): void {
    const refusal = subtype === "error" ? error : null;
    if (refusal !== null) log.warning("claude refused a control request: {refusal}", { ...this.#logFields(), refusal });
    this.#waiting.get(id)?.({ content: response, refusal });
  }

  /** The process has exited. */
  close(): void {
    this.#isClosed = true;
    for (const resolve of this.#waiting.values()) resolve(EXITED);
  }
}

const refused = (refusal: string): ControlAnswer => ({ content: undefined, refusal });
const EXITED = refused("Claude Code has exited");
