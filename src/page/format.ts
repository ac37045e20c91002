/** Figures as people read them. Times are Unix milliseconds. */
import { visibleLine } from "../core/visible-text.ts";

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const money = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumFractionDigits: 2 });
const smallMoney = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumSignificantDigits: 2 });
const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayAndTime = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

const UNKNOWN = "unknown";

export const count = (value: number): string => number.format(value);
/** Such as `12.4K`. */
export const tokens = (value: number | null): string => (value === null ? UNKNOWN : compact.format(value));
/** In US dollars. */
export const cost = (value: number | null): string =>
  value === null ? UNKNOWN : value > 0 && value < 0.01 ? smallMoney.format(value) : money.format(value);
export const percent = (value: number | null): string => (value === null ? UNKNOWN : `${Math.round(value)} %`);
export const megabytes = (value: number | null): string =>
  value === null ? UNKNOWN : value >= 1024 ? `${number.format(value / 1024)} GB` : `${Math.round(value)} MB`;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time, in two units at most. @param ms milliseconds */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < MINUTE) return `${number.format(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${Math.floor((ms % MINUTE) / SECOND)} s`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min`;
  return `${Math.floor(ms / DAY)} d ${Math.floor((ms % DAY) / HOUR)} h`;
}

/** Such as `5 min ago`. */
export function ago(at: number, now: number): string {
  const ms = now - at;
  if (ms < 10 * SECOND) return "just now";
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s ago`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ago`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ago`;
  return `${Math.floor(ms / DAY)} d ago`;
}

export const clockMinute = (at: number): string => minute.format(at);
export const clockTime = (at: number): string => time.format(at);
export const date = (at: number): string => day.format(at);
export const dateTime = (at: number): string => dayAndTime.format(at);

/** The name of a plan's window. @param name as Claude Code says it, such as `five_hour` */
export const windowName = (name: string): string =>
  `${name.charAt(0).toUpperCase()}${name.slice(1).replace(/_/g, "-")} window`;

/** What the reader knows a conversation by. */
export const conversationName = ({ chat, key }: { readonly chat: string | null; readonly key: string }): string =>
  visibleLine(chat ?? key);
