/**
 * Requests that belong to no conversation: each is answered by a claude of its own that keeps nothing.
 * So many at a time; the others wait in order.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { setsRetries } from "../claude/environment.ts";
import { failureFromHook, type ModelFailure } from "../claude/model-failure.ts";
import { cutsText } from "../claude/stop-reason.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { RequestError, shuttingDown, unexpected } from "../core/errors.ts";
import { parseJson } from "../core/json-gate.ts";
import type { OneShotRequest } from "../intake/one-shot-request.ts";
import { MODEL_RETRY_MS, outcomeOf } from "../turn/model-error.ts";
import { NO_ANSWER } from "../turn/reducer.ts";
import { ResponseStream } from "../turn/response-stream.ts";
import { paragraphBreak } from "../turn/text-assembler.ts";
import { unfenced } from "./code-fence.ts";
import { type OneShotProcess, startOneShot } from "./process.ts";
import type { StreamJsonEvent } from "./stream-json.ts";

const log = getLogger(["synthesis", "one-shot"]);

export interface OneShots {
  /** Has a request answered. */
  ask(question: OneShotRequest): ResponseStream;
  /** Takes no more requests, fails those that wait, and gives those that run `drainMs` to end. */
  drain(drainMs: number): Promise<void>;
  /** Ends them all at once. */
  killAll(): void;
}

export interface OneShotDeps {
  readonly config: Config;
  readonly paths: Paths;
  readonly env: Record<string, string | undefined>;
}

export function createOneShots({ config, paths, env }: OneShotDeps): OneShots {
  const waiting: { question: OneShotRequest; reply: ResponseStream }[] = [];
  const running = new Set<OneShot>();
  let draining = false;
  /** How long an answer takes of late, in ms. */
  let typical = 5_000;

  function refusal(): RequestError | null {
    if (draining) return shuttingDown();
    if (running.size < config.maxOneShots || waiting.length < config.maxQueue) return null;
    const seconds = Math.ceil((typical * (waiting.length + 1)) / config.maxOneShots / 1000);
    return new RequestError(
      "queue_full",
      `${running.size} requests without a conversation are being answered and ${waiting.length} wait. ` +
        "Try again later, or raise SYNTHESIS_MAX_ONE_SHOTS.",
      { retryAfter: Math.min(600, Math.max(1, seconds)) },
    );
  }

  function startNext(): void {
    while (running.size < config.maxOneShots) {
      const next = waiting.shift();
      if (!next) return;
      const startedAt = performance.now();
      const oneShot = new OneShot(next.question, next.reply, config, join(paths.run, crypto.randomUUID()), env);
      running.add(oneShot);
      void oneShot.over.then(() => {
        running.delete(oneShot);
        typical += (performance.now() - startedAt - typical) / 8;
        startNext();
      });
    }
  }

  return {
    ask: (question) => {
      const reply = new ResponseStream();
      const refused = refusal();
      if (refused) {
        reply.fail(refused);
        return reply;
      }
      const entry = { question, reply };
      reply.disconnected.addEventListener("abort", () => {
        const at = waiting.indexOf(entry);
        if (at >= 0) waiting.splice(at, 1);
      });
      waiting.push(entry);
      if (running.size >= config.maxOneShots) log.debug("a one-shot waits", { waiting: waiting.length });
      startNext();
      return reply;
    },
    drain: async (drainMs) => {
      draining = true;
      for (const { reply } of waiting.splice(0)) reply.fail(shuttingDown());
      const timer = setTimeout(() => {
        for (const oneShot of running) oneShot.end(shuttingDown());
      }, drainMs);
      await Promise.all([...running].map(({ over }) => over));
      clearTimeout(timer);
    },
    killAll: () => {
      for (const oneShot of running) oneShot.kill();
    },
  };
}

/** One answer under way: from claude's lines to the reply. */
class OneShot {
  /** Resolves when its claude has ended; it never rejects, since the count of those that run depends on it. */
  readonly over: Promise<void>;

  readonly #question: OneShotRequest;
  readonly #reply: ResponseStream;
  readonly #config: Config;
  readonly #startedAt = performance.now();
  #process: OneShotProcess | null = null;
  #deadline: Timer | undefined;
  #shown = "";
  /** The message whose text was shown last. */
  #shownOf = "";
  /** What claude has kept of its answer, by message. */
  readonly #said = new Map<string, string>();
  /** Why the model ended its messages, by message. */
  readonly #ended = new Map<string, string>();
  /** When the model failed first, in ms of `performance.now()`. */
  #failedAt: number | null = null;
  readonly #mayRetry: boolean;
  /** What was shown is not how the answer begins: claude has asked the model once more. */
  #broken = false;
  #failure: ModelFailure | null = null;
  /** The client has its answer, its error, or has left. */
  #told = false;

  constructor(
    question: OneShotRequest,
    reply: ResponseStream,
    config: Config,
    folder: string,
    env: Record<string, string | undefined>,
  ) {
    this.#question = question;
    this.#reply = reply;
    this.#config = config;
    // Who has said how often claude shall try again wants that.
    this.#mayRetry = setsRetries(env);
    reply.processOrigin = "cold";
    try {
      this.#process = startOneShot(question, folder, config, env, (line) => this.#take(line));
    } catch (error) {
      if (!(error instanceof RequestError)) log.error("unexpected: {error}", { oneShot: reply.id, error });
      reply.fail(error);
      this.over = Promise.resolve();
      return;
    }
    const { pid } = this.#process;
    this.over = this.#process.exited
      .then(({ how, said }) => {
        clearTimeout(this.#deadline);
        const begun = this.#process?.lastSignAt !== null;
        // A signal comes from outside, so a retry may succeed. An exit before the first line repeats itself.
        const retryAfter = how.startsWith("SIG") ? 1 : undefined;
        this.#fail(
          new RequestError(
            begun ? "claude_exited" : "claude_not_ready",
            `Claude Code ended without an answer (${how}). Ask again.${said ? ` It says: ${said}` : ""}`,
            { retryAfter: begun ? undefined : retryAfter },
          ),
        );
        const state = reply.disconnected.aborted ? "left" : (reply.error?.code ?? "done");
        log.info("one-shot over: {state}", {
          state,
          oneShot: reply.id,
          pid,
          how,
          ms: Math.round(performance.now() - this.#startedAt),
        });
      })
      .catch((error) => {
        clearTimeout(this.#deadline);
        log.error("the end of a one-shot could not be handled: {error}", { oneShot: reply.id, pid, error });
        this.#fail(unexpected());
      });
    try {
      log.info("one-shot started", { oneShot: reply.id, pid, turns: question.turns.length });
      reply.disconnected.addEventListener("abort", () => this.end(null));
      this.#armDeadline();
    } catch (error) {
      this.#process.kill();
      log.error("unexpected: {error}", { oneShot: reply.id, error });
      this.#fail(unexpected());
    }
  }

  /** Ends it before claude does. @param error what the client is told, null when it has left */
  end(error: RequestError | null): void {
    if (error) this.#fail(error);
    this.#told = true;
    this.#process?.stop();
  }

  kill(): void {
    this.#process?.kill();
  }

  #take(line: StreamJsonEvent): void {
    if (this.#told) return;
    switch (line.type) {
      case "text":
        // An answer that must parse is looked through first.
        if (this.#question.format.type === "text" && !this.#broken && line.text !== "") {
          this.#show(this.#between(this.#shown, this.#shownOf, line.message) + line.text);
          this.#shownOf = line.message;
        }
        break;
      case "ended":
        this.#ended.set(line.message, line.reason);
        break;
      case "abandoned":
        this.#broken = this.#shown !== "";
        this.#said.delete(line.message);
        break;
      case "said":
        this.#said.set(line.message, (this.#said.get(line.message) ?? "") + line.text);
        break;
      case "retry":
        this.#failedAt ??= performance.now();
        if (this.#mayRetry || performance.now() - this.#failedAt + line.delayMs <= MODEL_RETRY_MS) break;
        this.#failure = { ...line.failure, resetsAt: (Date.now() + line.delayMs) / 1000 };
        this.#takeFailure("");
        this.#process?.stop();
        break;
      case "failure":
        this.#failure = line.failure;
        break;
      case "result":
        if (line.failed) this.#takeFailure(line.text);
        else this.#finish(line);
    }
  }

  /** Ends the answer whose model request has failed. @param message claude's account of it */
  #takeFailure(message: string): void {
    const failure = this.#failure ?? failureFromHook("unknown", message);
    const outcome = outcomeOf({ ...failure, message: failure.message || message }, Date.now());
    if (outcome instanceof RequestError) {
      this.#fail(outcome);
      return;
    }
    const rest = this.#whole().slice(this.#shown.length);
    if (this.#whole().startsWith(this.#shown)) this.#show(rest);
    if (outcome.reason === "content_filter" || this.#shown === "") {
      this.#show(paragraphBreak(this.#shown) + outcome.message);
    }
    this.#told = true;
    this.#reply.push({ type: "finish", reason: outcome.reason });
    this.#reply.close();
  }

  /** All that claude has kept of its answer. */
  #whole(): string {
    let whole = "";
    let last = "";
    for (const [message, text] of this.#said) {
      if (text === "") continue;
      whole += this.#between(whole, last, message) + text;
      last = message;
    }
    return whole;
  }

  /** What stands between `text`, which ends with text of message `last`, and text of message `next`. */
  #between(text: string, last: string, next: string): string {
    return text === "" || last === next || cutsText(this.#ended.get(last)) ? "" : paragraphBreak(text.slice(-2));
  }

  #finish({ structured, usage }: StreamJsonEvent & { type: "result" }): void {
    const said = this.#whole();
    const whole = this.#question.format.type === "json" ? (structured ?? unfenced(said)) : said;
    // A continuation parses with what it continues.
    if (this.#question.format.type === "json" && !isJson(whole) && !isJson((this.#question.begun ?? "") + whole)) {
      this.#fail(new RequestError("claude_failed", "JSON was asked for, and claude's answer is none. Ask again."));
    } else if (whole.startsWith(this.#shown)) {
      // All of it where it was held back; else what follows the point at which the stream broke off.
      this.#show(whole.trim() === "" ? NO_ANSWER : whole.slice(this.#shown.length));
      this.#told = true;
      this.#reply.push({ type: "finish" });
      this.#reply.push({ type: "usage", usage });
      this.#reply.close();
    } else {
      this.#fail(
        new RequestError("claude_failed", "The answer broke off midway, and claude has begun it anew. Ask again."),
      );
    }
  }

  #show(text: string): void {
    if (text === "") return;
    this.#shown += text;
    this.#reply.push({ type: "text", text });
  }

  #fail(error: RequestError): void {
    if (this.#told) return;
    this.#told = true;
    this.#reply.fail(error);
  }

  /** The next of its deadlines: for the start, for a sign of life, for the whole. */
  #armDeadline(): void {
    const { readyTimeoutMs, turnTimeoutMs, progressTimeoutMs } = this.#config;
    const { lastSignAt } = this.#process as OneShotProcess;
    const now = performance.now();
    const dead = lastSignAt === null ? this.#startedAt + readyTimeoutMs - now : lastSignAt + progressTimeoutMs - now;
    const late = this.#startedAt + turnTimeoutMs - now;
    if (late <= 0) {
      const message = `Claude Code worked for ${turnTimeoutMs} ms without an end and was stopped. Ask for less, or raise SYNTHESIS_TURN_TIMEOUT_MS.`;
      this.end(new RequestError("turn_timeout", message));
    } else if (dead <= 0 && lastSignAt === null) {
      const message = `Claude Code was not ready after ${readyTimeoutMs} ms. Ask again, or raise SYNTHESIS_READY_TIMEOUT_MS.`;
      this.end(new RequestError("claude_not_ready", message, { retryAfter: 30 }));
    } else if (dead <= 0) {
      const message = `Claude Code showed no sign of life for ${progressTimeoutMs} ms and was stopped. Ask again, or raise SYNTHESIS_PROGRESS_TIMEOUT_MS.`;
      this.end(new RequestError("turn_timeout", message));
    } else this.#deadline = setTimeout(() => this.#armDeadline(), Math.min(dead, late));
  }
}

function isJson(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch {
    // That is the answer.
    return false;
  }
}
