/** Posts one notification, once. The address may hold a secret, so no result and no error has more of it than its origin. */
import type { NotifyFormat } from "../config/schema.ts";
import { bodyOf } from "./formats.ts";
import type { Notification } from "./notification.ts";

export interface Receiver {
  readonly url: string;
  readonly format: NotifyFormat;
}

export type SendResult =
  | { readonly type: "delivered" }
  /** Another attempt would end in the same way. @property why a clause about the receiver, for people */
  | { readonly type: "refused"; readonly why: string }
  /** @property retryAfterMs when the receiver wants the next attempt; null when it does not say */
  | { readonly type: "unavailable"; readonly why: string; readonly retryAfterMs: number | null };

/** Statuses below 500 that may be over at the next attempt: a time-out, and too many requests. */
const TEMPORARY = [408, 425, 429];

/** @param signal ends the attempt, which is then reported as `unavailable` */
export async function send(
  { url, format }: Receiver,
  notification: Notification,
  signal: AbortSignal,
): Promise<SendResult> {
  const { headers, body } = bodyOf(format, notification);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body,
      signal,
      // A redirect would lead the notification, and its address, to a host that the user did not choose.
      redirect: "manual",
      ...(isLoopback(url) ? { proxy: false } : {}),
    });
    // The body may be endless, and nothing in it is needed.
    await response.body?.cancel();
    return resultOf(response);
  } catch (error) {
    return { type: "unavailable", why: signal.aborted ? "does not answer" : causeOf(error), retryAfterMs: null };
  }
}

function resultOf({ ok, status, headers }: Response): SendResult {
  if (ok) return { type: "delivered" };
  const why = `answers with status ${status}`;
  if (status >= 500 || TEMPORARY.includes(status)) {
    return { type: "unavailable", why, retryAfterMs: delayOf(headers.get("retry-after")) };
  }
  return { type: "refused", why: status >= 300 && status < 400 ? `${why}, a redirect, which is not followed` : why };
}

/** The delay that a `Retry-After` header asks for, in ms; null when it has none. It is a number of seconds or a date. */
function delayOf(header: string | null): number | null {
  if (header === null) return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** The code of a network error. Its message may quote the address. */
function causeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^\w+$/.test(code) ? `cannot be reached (${code})` : "cannot be reached";
}

/** Whether the address leads to this machine, where no proxy is needed and none could deliver it. */
export function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
