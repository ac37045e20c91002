/**
 * What Claude Code reports when the model's API did not answer. The transcript and `claude -p` have the same row for
 * it, with the API's status; the `StopFailure` hook has only the kind and the words.
 */
import { z } from "zod";

export interface ModelFailure {
  /** Claude Code's kind of it, as the `StopFailure` hook names it. */
  readonly kind: string;
  /** Claude Code's account of it, for people; empty when it gives none. */
  readonly message: string;
  /** The HTTP status of the API's answer; null when there was none. */
  readonly status: number | null;
  /** The model refused to answer. */
  readonly isRefusal: boolean;
  /** When the plan's limit ends, Unix time in s; null when that is not known. */
  readonly resetsAt: number | null;
}

const limits = z.looseObject({ resetsAt: z.number() }).nullish().catch(null);

/**
 * Whether the plan's limit is reached. An interactive claude then opens a menu, behind which messages wait, or sets
 * itself to go on when the limit ends, with a message that its client may have sent again by then.
 */
export const isPlanLimit = ({ kind, resetsAt, message }: ModelFailure): boolean =>
  kind === "rate_limit" && (resetsAt !== null || /\bhit your\b/.test(message));

/** Claude Code's row for a failed request: in camel case in the transcript, in snake case from `claude -p`. */
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

/** Reads a row of a failed request. Null when `row` is none. */
export function readFailureRow(row: unknown): ModelFailure | null {
  const read = failureRow.safeParse(row);
  if (!read.success) return null;
  const { error, message, apiErrorStatus, api_error_status, quotaLimits, api_error_params } = read.data;
  const text = message.content.map((block) => block.text ?? "").join("");
  const known = failureFromWords(error, text);
  return {
    ...known,
    status: apiErrorStatus ?? api_error_status ?? known.status,
    isRefusal: message.stop_reason === "refusal" || known.isRefusal,
    resetsAt: quotaLimits?.resetsAt ?? api_error_params?.rate_limit_info?.resetsAt ?? null,
  };
}

/** What the kind and Claude Code's account tell, where its row cannot be read. */
export const failureFromWords = (kind: string, message = ""): ModelFailure => ({
  kind,
  message,
  status: Number(/^(?:Please run \/login · )?API Error: (\d{3})\b/.exec(message)?.[1] ?? 0) || null,
  isRefusal: kind === "invalid_request" && /safeguards flagged this message|Usage Policy/.test(message),
  resetsAt: null,
});
