/**
 * One-shots: requests that belong to no conversation. Each is answered by a process of its own, which keeps nothing. A
 * limited number of them run at a time; the others wait in order.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Login } from "../claude/login.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { RequestError, shuttingDown } from "../core/errors.ts";
import { TypicalDuration } from "../core/typical-duration.ts";
import type { OneShotRequest } from "../intake/one-shot-request.ts";
import type { SchemaChecker } from "../json-schema/checker.ts";
import type { AccountLimits } from "../limits/account.ts";
import type { Rejections } from "../limits/rejections.ts";
import type { TurnStore } from "../store/turns.ts";
import { ONE_SHOT } from "../store/usage.ts";
import { ResponseStream } from "../turn/response-stream.ts";
import { OneShot } from "./one-shot.ts";
import type { OneShotContext } from "./process.ts";

const log = getLogger(["synthesis", "one-shot"]);

/** The estimated duration of an answer, until the first one has been measured. */
const INITIAL_ESTIMATE_MS = 5_000;

/** A one-shot that has ended. */
export interface EndedOneShot {
  /** The model that it asked for; null for Claude Code's default model. */
  readonly model: string | null;
  readonly outcome: "done" | "failed" | "interrupted";
  /** From its start to its end. */
  readonly ms: number;
  readonly response: ResponseStream;
}

export interface OneShotQueue {
  /** Starts a one-shot, or lets it wait until it can start. */
  submit(request: OneShotRequest): ResponseStream;
  /** How many run and how many wait. */
  readonly load: { readonly running: number; readonly waiting: number };
  /** Calls the listener with each one-shot that has ended. */
  onEnd(listener: (oneShot: EndedOneShot) => void): void;
  /** Refuses new one-shots, fails waiting ones, and lets running ones finish within `drainMs`. */
  drain(drainMs: number): Promise<void>;
  /** Kills the processes of all running one-shots. */
  killAll(): void;
}

export interface OneShotDeps {
  readonly config: Config;
  readonly paths: Paths;
  readonly env: Record<string, string | undefined>;
  readonly login: Login;
  /** Checks answers that must fit a JSON Schema. */
  readonly checker: SchemaChecker;
  readonly limits: AccountLimits;
  readonly rejections: Rejections;
  /** Where the requests and what they use are counted. */
  readonly turns: Pick<TurnStore, "count">;
  readonly clock?: Clock;
}

export function createOneShotQueue(deps: OneShotDeps): OneShotQueue {
  const { config, paths, env, login, checker, limits, rejections, turns, clock = systemClock } = deps;
  const waiting: { readonly request: OneShotRequest; readonly response: ResponseStream }[] = [];
  const running = new Set<OneShot>();
  const answerDuration = new TypicalDuration(INITIAL_ESTIMATE_MS);
  const listeners = new Set<(oneShot: EndedOneShot) => void>();
  let isDraining = false;

  function refusal(): RequestError | null {
    if (isDraining) return shuttingDown();
    if (running.size < config.maxOneShots || waiting.length < config.maxQueue) return null;
    return new RequestError(
      "queue_full",
      `${running.size} requests without a conversation are being answered and ${waiting.length} are waiting. ` +
        "Send the request again later, or raise SYNTHESIS_MAX_ONE_SHOTS.",
      { retryAfter: answerDuration.retryAfter(waiting.length + 1, config.maxOneShots) },
    );
  }

  function startNext(): void {
    while (running.size < config.maxOneShots) {
      const next = waiting.shift();
      if (!next) return;
      const refused = rejections.admit(next.request.model, next.response.begun);
      if (refused) {
        next.response.fail(refused);
        continue;
      }
      const startedAt = clock.now();
      const folder = join(paths.run, crypto.randomUUID());
      const count: OneShotContext["count"] = (request) =>
        turns.count({ ...request, conversation: ONE_SHOT, agent: null });
      const context = { config, folder, env, checker, limits, rejections, count, clock };
      const oneShot = new OneShot(next.request, next.response, context);
      running.add(oneShot);
      void oneShot.finished.then(() => {
        running.delete(oneShot);
        const { error, disconnected, isTruncated } = next.response;
        const ms = clock.now() - startedAt;
        const outcome = isTruncated || error?.code === "turn_interrupted" ? "interrupted" : error ? "failed" : "done";
        for (const listener of listeners) {
          listener({ model: next.request.model, outcome, ms, response: next.response });
        }
        if (error?.code === "claude_not_logged_in") login.noteRejection(null);
        else if (!error && !disconnected.aborted && oneShot.hasUsedModel) login.noteAnswer(null);
        answerDuration.add(ms);
        startNext();
      });
    }
  }

  return {
    submit: (request) => {
      const response = new ResponseStream();
      const error = refusal();
      if (error) {
        response.fail(error);
        return response;
      }
      const entry = { request, response };
      response.disconnected.addEventListener("abort", () => {
        const at = waiting.indexOf(entry);
        if (at >= 0) waiting.splice(at, 1);
      });
      waiting.push(entry);
      if (running.size >= config.maxOneShots) log.debug("one-shot queued", { waiting: waiting.length });
      startNext();
      return response;
    },
    get load() {
      return { running: running.size, waiting: waiting.length };
    },
    onEnd: (listener) => {
      listeners.add(listener);
    },
    drain: async (drainMs) => {
      isDraining = true;
      for (const { response } of waiting.splice(0)) response.fail(shuttingDown());
      const cancel = clock.after(drainMs, () => {
        for (const oneShot of running) oneShot.abort(shuttingDown());
      });
      await Promise.all([...running].map(({ finished }) => finished));
      cancel();
    },
    killAll: () => {
      for (const oneShot of running) oneShot.kill();
    },
  };
}
