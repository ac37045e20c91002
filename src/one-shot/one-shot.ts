/** A running one-shot. It passes the output of its process to the response, and enforces the deadlines. */
import { getLogger } from "@logtape/logtape";
import { setsRetries } from "../claude/environment.ts";
import { failureFromText, type ModelFailure } from "../claude/model-failure.ts";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../core/clock.ts";
import { RequestError, unexpected } from "../core/errors.ts";
import type { ModelUsage, Usage } from "../core/usage.ts";
import type { OneShotRequest } from "../intake/one-shot-request.ts";
import type { SchemaChecker } from "../json-schema/checker.ts";
import type { Rejections } from "../limits/rejections.ts";
import { checkAnswer, invalidAnswer, type JsonFormat, repairNote } from "../turn/json-answer.ts";
import { MODEL_RETRY_MS, outcomeOf } from "../turn/model-error.ts";
import type { ResponseStream } from "../turn/response-stream.ts";
import { NO_ANSWER } from "../turn/turn-state.ts";
import { AnswerText } from "./answer-text.ts";
import { type OneShotContext, type OneShotExit, type OneShotProcess, startOneShotProcess } from "./process.ts";
import type { StreamJsonEvent } from "./stream-json.ts";

const log = getLogger(["synthesis", "one-shot"]);

/** How the process is started; a test passes a function of its own. */
type StartProcess = typeof startOneShotProcess;

export class OneShot {
  /** Resolves when the process has exited. Never rejects, since a one-shot that failed must free its slot. */
  readonly finished: Promise<void>;

  readonly #request: OneShotRequest;
  readonly #response: ResponseStream;
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #checker: SchemaChecker;
  readonly #rejections: Rejections;
  readonly #limits: OneShotContext["limits"];
  readonly #count: OneShotContext["count"];
  /** When the process was started, and when the client got the first text, in Unix ms. */
  readonly #sentAt: number;
  #firstTextAt: number | null = null;
  /** What the process has used so far, and by how many model calls. */
  #used: readonly ModelUsage[] = [];
  #calls = 0;
  #isCounted = false;
  #answer = new AnswerText();
  /** The answer that was not valid JSON; null while there is none. */
  #rejected: { readonly usage: Usage } | null = null;
  /** The user has set the number of retries, so it is not limited here. */
  readonly #hasOwnRetries: boolean;
  #process: OneShotProcess | null = null;
  #cancelDeadline = () => {};
  /** When the first request to the model failed, on the monotonic clock. */
  #failedAt: number | null = null;
  #failure: ModelFailure | null = null;
  /** The client has its answer or its error, or has disconnected. */
  #isAnswered = false;

  constructor(
    request: OneShotRequest,
    response: ResponseStream,
    context: OneShotContext,
    startProcess: StartProcess = startOneShotProcess,
  ) {
    this.#request = request;
    this.#response = response;
    this.#config = context.config;
    this.#clock = context.clock;
    this.#checker = context.checker;
    this.#rejections = context.rejections;
    this.#limits = context.limits;
    this.#count = context.count;
    this.#startedAt = this.#clock.now();
    this.#sentAt = this.#clock.wallTime();
    this.#hasOwnRetries = setsRetries(context.env);
    response.processOrigin = "cold";
    try {
      this.#process = startProcess(request, context, (event) => this.#take(event));
    } catch (error) {
      if (!(error instanceof RequestError)) log.error("one-shot not started: {error}", { oneShot: response.id, error });
      response.fail(error);
      this.finished = Promise.resolve();
      return;
    }
    const { pid } = this.#process;
    this.finished = this.#process.exited
      .then((exit) => this.#end(exit, pid))
      .catch((error) => {
        log.error("exit of a one-shot could not be handled: {error}", { oneShot: response.id, pid, error });
        this.#fail(unexpected());
      })
      .finally(() => this.#cancelDeadline());
    try {
      log.info("one-shot started", { oneShot: response.id, pid, turns: request.turns.length });
      response.disconnected.addEventListener("abort", () => this.abort(null));
      this.#armDeadline();
    } catch (error) {
      this.#process.kill();
      log.error("one-shot killed, its start could not be handled: {error}", { oneShot: response.id, error });
      this.#fail(unexpected());
    }
  }

  /** Stops the process before it has answered. @param error for the client; null when it has disconnected */
  abort(error: RequestError | null): void {
    if (error) this.#fail(error);
    this.#isAnswered = true;
    this.#process?.stop();
  }

  /** The model has answered a request of the process. */
  get hasUsedModel(): boolean {
    return this.#used.length > 0;
  }

  kill(): void {
    this.#process?.kill();
  }

  #take(event: StreamJsonEvent): void {
    if (event.type === "limits") this.#limits.note(event.windows);
    if (event.type === "result") this.#noteUsage(event);
    if (this.#isAnswered) return;
    switch (event.type) {
      case "tokens":
        // JSON is checked before any of it is sent.
        if (this.#request.format.type === "text") this.#send(this.#answer.addTokens(event.message, event.text));
        break;
      case "stopped":
        this.#answer.stop(event.message, event.reason);
        break;
      case "abandoned":
        this.#answer.abandon(event.message);
        break;
      case "text":
        this.#answer.addComplete(event.message, event.text);
        break;
      case "retry":
        this.#takeRetry(event);
        break;
      case "failure":
        this.#failure = event.failure;
        break;
      case "result":
        if (event.failed) this.#endWithFailure(event.text);
        else if (this.#request.format.type === "json") void this.#endWithJson(this.#request.format, event);
        else this.#endWithResult(event);
    }
  }

  #noteUsage({ models, usage, failed }: StreamJsonEvent & { type: "result" }): void {
    if (!failed) this.#calls += 1;
    const { input, cached, output } = usage;
    const ofUnknownModel = {
      model: "",
      calls: 0,
      input: input - cached,
      cacheRead: cached,
      cacheWrite: 0,
      output,
      cost: null,
    };
    const [main, ...others] = models ?? [ofUnknownModel];
    this.#used = main ? [{ ...main, calls: this.#calls }, ...others] : [];
  }

  /** Counts the request once. It comes with the answer: the process may be killed before it has exited. */
  #countAs(state: "done" | "failed" | "interrupted"): void {
    if (this.#isCounted) return;
    this.#isCounted = true;
    this.#count({ state, sentAt: this.#sentAt, firstTextAt: this.#firstTextAt, modelUsage: this.#used });
  }

  /** Claude Code retries for minutes. The client waits only for a few seconds, and then gets the error. */
  #takeRetry({ failure, delayMs }: StreamJsonEvent & { type: "retry" }): void {
    const now = this.#clock.now();
    this.#failedAt ??= now;
    if (this.#hasOwnRetries || now - this.#failedAt + delayMs <= MODEL_RETRY_MS) return;
    this.#failure = { ...failure, resetsAt: (this.#clock.wallTime() + delayMs) / 1000 };
    this.#endWithFailure("");
    this.#process?.stop();
  }

  /** The request to the model has failed for good. @param message Claude Code's text about the failure */
  #endWithFailure(message: string): void {
    const failure = this.#failure ?? failureFromText("unknown", message);
    const outcome = outcomeOf({ ...failure, message: failure.message || message }, this.#clock.wallTime());
    if (this.#request.format.type === "json") this.#process?.endInput();
    if (outcome instanceof RequestError) {
      this.#fail(outcome);
      return;
    }
    this.#send(this.#answer.complete(this.#answer.whole) ?? "");
    if (outcome.reason === "content_filter" || this.#answer.sent === "") {
      this.#send(this.#answer.addParagraph(outcome.message));
    }
    this.#isAnswered = true;
    this.#countAs("done");
    this.#response.push({ type: "finish", reason: outcome.reason });
    this.#response.close();
  }

  /** Ends with an answer that must be JSON. One that is not valid is repeated once. */
  async #endWithJson(format: JsonFormat, { structured, usage }: StreamJsonEvent & { type: "result" }): Promise<void> {
    const candidates = [structured ?? this.#answer.whole];
    const { text, problem, leftOut } = await checkAnswer(candidates, this.#request.prefill, format, this.#checker);
    if (this.#isAnswered) return;
    this.#response.unchecked = leftOut;
    if (problem !== null && this.#rejected === null) {
      log.info("the answer is not valid, claude is asked for another one", { oneShot: this.#response.id });
      this.#rejected = { usage };
      this.#answer = new AnswerText();
      this.#process?.askAgain(repairNote(problem, format));
      return;
    }
    this.#process?.endInput();
    if (problem !== null) {
      this.#fail(invalidAnswer(format));
      return;
    }
    this.#send(text);
    this.#finish({ ...usage, output: usage.output + (this.#rejected?.usage.output ?? 0) });
  }

  #endWithResult({ usage }: StreamJsonEvent & { type: "result" }): void {
    const whole = this.#answer.whole;
    const rest = this.#answer.complete(whole);
    if (rest === null) {
      this.#fail(
        new RequestError(
          "claude_failed",
          "The answer broke off, and Claude Code restarted it with a different text. Send the request again.",
        ),
      );
      return;
    }
    this.#send(whole.trim() === "" ? NO_ANSWER : rest);
    this.#finish(usage);
  }

  #finish(usage: Usage): void {
    this.#isAnswered = true;
    this.#countAs("done");
    this.#response.push({ type: "finish" });
    this.#response.push({ type: "usage", usage });
    this.#response.close();
  }

  #end({ how, stderr }: OneShotExit, pid: number): void {
    const hasStarted = this.#process?.lastOutputAt !== null;
    // Another process sent the signal, so a retry may succeed. A program that exits at once would do so again.
    const retryAfter = !hasStarted && how.startsWith("SIG") ? 1 : undefined;
    this.#fail(
      new RequestError(
        hasStarted ? "claude_exited" : "claude_not_ready",
        `Claude Code exited without an answer (${how}). Send the request again.${stderr ? ` Its error output: ${stderr}` : ""}`,
        { retryAfter },
      ),
    );
    const { id: oneShot, disconnected, error } = this.#response;
    this.#countAs(error ? "failed" : "interrupted");
    const state = disconnected.aborted ? "disconnected" : (error?.code ?? "done");
    const ms = Math.round(this.#clock.now() - this.#startedAt);
    log.info("one-shot ended: {state}", { state, oneShot, pid, how, ms });
  }

  #send(text: string): void {
    if (text !== "") this.#firstTextAt ??= this.#clock.wallTime();
    if (text !== "") this.#response.push({ type: "text", text });
  }

  #fail(error: RequestError): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#rejections.note(error, this.#request.model);
    this.#response.fail(error);
  }

  /** Waits for the next deadline: the start of the process, its next output, or the end of the answer. */
  #armDeadline(): void {
    const { readyTimeoutMs, turnTimeoutMs, progressTimeoutMs } = this.#config;
    const { lastOutputAt } = this.#process as OneShotProcess;
    const now = this.#clock.now();
    const untilSilent =
      lastOutputAt === null ? this.#startedAt + readyTimeoutMs - now : lastOutputAt + progressTimeoutMs - now;
    const untilTimeout = this.#startedAt + turnTimeoutMs - now;
    if (untilTimeout <= 0) {
      const message = `Claude Code did not finish within ${turnTimeoutMs} ms and was stopped. Ask for less, or raise SYNTHESIS_TURN_TIMEOUT_MS.`;
      this.abort(new RequestError("turn_timeout", message));
    } else if (untilSilent > 0) {
      this.#cancelDeadline = this.#clock.after(Math.min(untilSilent, untilTimeout), () => this.#armDeadline());
    } else if (lastOutputAt === null) {
      const message = `Claude Code was not ready after ${readyTimeoutMs} ms. Send the request again, or raise SYNTHESIS_READY_TIMEOUT_MS.`;
      this.abort(new RequestError("claude_not_ready", message, { retryAfter: 30 }));
    } else {
      const message = `Claude Code wrote nothing for ${progressTimeoutMs} ms and was stopped. Send the request again, or raise SYNTHESIS_PROGRESS_TIMEOUT_MS.`;
      this.abort(new RequestError("turn_timeout", message));
    }
  }
}
