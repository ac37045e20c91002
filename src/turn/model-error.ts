/** The error that a client receives when the model's API did not answer, for conversations and one-shots alike. */

import type { ModelFailure } from "../claude/model-failure.ts";
import { resetTime } from "../claude/reset-time.ts";
import { type ErrorCode, RequestError } from "../core/errors.ts";
import { UsageLimitError } from "../limits/usage-limit-error.ts";

/** How long Claude may retry a failed model request before the client receives the error, in ms. */
export const MODEL_RETRY_MS = 8_000;
/** Seconds after which a limit or an overload may be over, when Claude Code does not say. */
const LIMIT_S = 60;
const OVERLOAD_S = 30;
/** Seconds after which a window of the plan may have been reset, when Claude Code does not say. */
const WINDOW_S = 300;

/** The end of an answer that the model did not finish. The client gets it as an answer, not as an error. */
export interface CutAnswer {
  readonly reason: "length" | "content_filter";
  /** Claude Code's message about it, for people. */
  readonly message: string;
}

/**
 * How a failed model request ends the answer: with an error, or as an answer that was cut off.
 * @param now Unix time in ms
 */
export function outcomeOf(failure: ModelFailure, now: number): RequestError | CutAnswer {
  if (failure.isRefusal) return { reason: "content_filter", message: failure.message };
  if (failure.kind === "max_output_tokens") return { reason: "length", message: failure.message };
  if (failure.window !== null) {
    const resetsAt = resetOf(failure, now);
    if (resetsAt !== null && resetsAt > now) return new UsageLimitError(failure.window, resetsAt, now);
  }
  const code = codeOf(failure);
  const { advice, fallback } = ADVICE[code];
  // OpenClaw takes any "usage limit" for one that lasts, and would not repeat the request.
  const reason = failure.message.replace(" (not your usage limit)", "");
  const message = `${advice} ${reason || fallback}`.trim();
  return new RequestError(code, message, {
    param: code === "context_length_exceeded" ? "messages" : null,
    retryAfter: retryAfter(code, failure, now),
  });
}

type ModelErrorCode = Extract<
  ErrorCode,
  | "usage_limit_reached"
  | "rate_limited"
  | "overloaded"
  | "claude_not_logged_in"
  | "claude_account_blocked"
  | "billing_error"
  | "context_length_exceeded"
  | "model_not_found"
  | "invalid_request"
  | "claude_failed"
>;

/** What the person can do, and a message for failures about which Claude Code says nothing. */
const ADVICE: Record<ModelErrorCode, { readonly advice: string; readonly fallback: string }> = {
  usage_limit_reached: {
    advice: "Claude's usage limit is reached. Use another model, or try again later.",
    fallback: "",
  },
  rate_limited: { advice: "Claude's rate limit is reached. Try again later.", fallback: "" },
  overloaded: { advice: "Claude's API is overloaded. Try again later.", fallback: "" },
  claude_not_logged_in: {
    advice: "Claude Code is not logged in, or its login has expired. Run `claude` in a terminal and use /login.",
    fallback: "",
  },
  claude_account_blocked: {
    advice: "Claude Code cannot use its account. Run `claude` in a terminal to see why.",
    fallback: "",
  },
  billing_error: { advice: "Anthropic requires a payment. See the account's billing settings.", fallback: "" },
  context_length_exceeded: {
    advice: "The conversation is too long for the model. Start a new one, or send less.",
    fallback: "",
  },
  model_not_found: {
    advice: "Anthropic does not offer this model to this account. Choose another model.",
    fallback: "",
  },
  invalid_request: { advice: "Anthropic's API refused the request, and will refuse it again.", fallback: "" },
  claude_failed: { advice: "", fallback: "Claude Code could not answer. Send the message again." },
};

function codeOf({ kind, status, isTooLong, window }: ModelFailure): ModelErrorCode {
  if (window !== null) return "usage_limit_reached";
  if (status === 529) return "overloaded";
  switch (kind) {
    case "rate_limit":
      return "rate_limited";
    case "overloaded":
      return "overloaded";
    case "authentication_failed":
    case "oauth_org_not_allowed":
      return "claude_not_logged_in";
    case "account_on_hold":
    case "verification_required":
    case "cloud_credential_error":
      return "claude_account_blocked";
    case "billing_error":
      return "billing_error";
    case "model_not_found":
      return "model_not_found";
  }
  if (status === 402) return "billing_error";
  // A request with too many bytes is reported in the same way, and the remedy is the same.
  if (status === 413 || isTooLong) return "context_length_exceeded";
  if (status === 429) return "rate_limited";
  // A time-out or a conflict may be over at the next attempt.
  const isFinal = status !== null && status >= 400 && status < 500 && status !== 408 && status !== 409;
  return isFinal || kind === "invalid_request" ? "invalid_request" : "claude_failed";
}

/** When the limit ends, Unix time in ms; null when Claude Code does not say. */
const resetOf = ({ resetsAt, message }: ModelFailure, now: number): number | null =>
  resetsAt === null ? resetTime(message, now) : resetsAt * 1000;

function retryAfter(code: ModelErrorCode, failure: ModelFailure, now: number): number | undefined {
  switch (code) {
    case "usage_limit_reached":
    case "rate_limited": {
      const reset = resetOf(failure, now);
      if (reset === null) return code === "rate_limited" ? LIMIT_S : WINDOW_S;
      return Math.max(1, Math.ceil((reset - now) / 1000));
    }
    case "overloaded":
      return OVERLOAD_S;
    default:
      return undefined;
  }
}
