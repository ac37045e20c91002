/**
 * What Claude Code reports about a failed model request. The transcript and the output of `claude --print` contain a row
 * with the API's status. The `StopFailure` hook contains only the kind and a text.
 */
import { z } from "zod";

export interface ModelFailure {
  /** Claude Code's name for the kind of failure, for example `rate_limit`. */
  readonly kind: string;
  /** Claude Code's text about the failure, for people; empty when there is none. */
  readonly message: string;
  /** The HTTP status of the API's answer; null when there was none. */
  readonly status: number | null;
  /** The model refused to answer. */
  readonly isRefusal: boolean;
  /** The conversation is too long for the model, or the request has too many bytes. */
  readonly isTooLong: boolean;
  /**
   * The window of the plan that is used up: `five_hour`, `seven_day`, `seven_day_opus`, or another name, as Claude Code
   * says it; `unknown` when it does not say which. Null for any other failure, such as too many requests in a minute.
   *
   * An interactive process then opens a menu that holds back messages, or it plans to continue when the limit resets, with
   * a message that the client may have sent again by then.
   */
  readonly window: string | null;
  /** When the limit resets, or when Claude Code would try again, Unix time in s; null when that is unknown. */
  readonly resetsAt: number | null;
}

const limits = z
  .looseObject({
    resetsAt: z.number().nullish().catch(null),
    rateLimitType: z.string().nullish().catch(null),
    /** The account pays for what exceeds the plan, so a window that is used up rejects nothing. */
    isUsingOverage: z.boolean().nullish().catch(null),
  })
  .nullish()
  .catch(null);

const UNKNOWN_WINDOW = "unknown";

/** The windows that Claude Code's text names. */
const WINDOWS_IN_TEXT: readonly [text: RegExp, window: string][] = [
  [/\bhit your (?:session|5-hour) limit\b/i, "five_hour"],
  [/\bhit your weekly limit\b/i, "seven_day"],
  [/\bhit your opus limit\b/i, "seven_day_opus"],
  [/\bhit your sonnet limit\b/i, "seven_day_sonnet"],
  [/\bhit your\b/i, UNKNOWN_WINDOW],
];

/** The row of a failed request, in camel case in the transcript and in snake case from `claude --print`. */
const failureRow = z.looseObject({
  error: z.string().catch("unknown"),
  apiErrorStatus: z.number().nullish().catch(null),
  api_error_status: z.number().nullish().catch(null),
  quotaLimits: limits,
  api_error_params: z.looseObject({ rate_limit_info: limits }).nullish().catch(null),
  message: z.looseObject({
    stop_reason: z.string().nullish().catch(null),
    content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })).catch([]),
  }),
});

/** Reads the row of a failed request. @returns null for any other row */
export function readFailureRow(row: unknown): ModelFailure | null {
  const read = failureRow.safeParse(row);
  if (!read.success) return null;
  const { error, message, apiErrorStatus, api_error_status, quotaLimits, api_error_params } = read.data;
  const text = message.content.map((block) => block.text ?? "").join("");
  const known = failureFromText(error, text);
  const limit = quotaLimits ?? api_error_params?.rate_limit_info ?? null;
  return {
    ...known,
    status: apiErrorStatus ?? api_error_status ?? known.status,
    isRefusal: message.stop_reason === "refusal" || known.isRefusal,
    window: limit?.isUsingOverage ? null : windowOf(limit, known),
    resetsAt: limit?.resetsAt ?? null,
  };
}

function windowOf(limit: z.infer<typeof limits>, { kind, window }: ModelFailure): string | null {
  // Claude Code also reports a limit without a reset, when Anthropic allows no more requests for the moment.
  return kind === "rate_limit" && limit?.resetsAt ? (limit.rateLimitType ?? window ?? UNKNOWN_WINDOW) : window;
}

/** The failure as its kind and Claude Code's text describe it, for a failure that has no row in the transcript. */
export const failureFromText = (kind: string, message = ""): ModelFailure => ({
  kind,
  message,
  status: Number(/^(?:Please run \/login · )?API Error: (\d{3})\b/.exec(message)?.[1] ?? 0) || null,
  isRefusal: kind === "invalid_request" && /safeguards flagged this message|Usage Policy/.test(message),
  isTooLong: /^(?:Prompt is too long|Request too large)/.test(message),
  window: kind === "rate_limit" ? (WINDOWS_IN_TEXT.find(([text]) => text.test(message))?.[1] ?? null) : null,
  resetsAt: null,
});
