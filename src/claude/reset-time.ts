/** Reads when a usage limit resets from Claude Code's text: "resets 3pm (Europe/Berlin)", "resets Nov 30, 5:09am (UTC)". */

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAY_MS = 24 * 60 * 60 * 1000;

const RESET =
  /\bresets (?:at )?(?:([A-Z][a-z]{2})[a-z]* (\d{1,2})(?:, (\d{4}))?(?:,| at) )?(\d{1,2})(?::(\d{2}))? ?([ap]m) \(([^()]+)\)/i;

/**
 * The next moment, from `now` on, that `text` names. The text has no seconds, so the result is up to a minute early.
 * @param now Unix time in ms
 * @returns Unix time in ms; null when the text names no time, or an unknown time zone
 */
export function resetTime(text: string, now: number): number | null {
  const found = RESET.exec(text);
  if (!found) return null;
  const [, month, day, year, hour, minute = "0", half, zone] = found;
  const at = { hour: (Number(hour) % 12) + (half?.toLowerCase() === "pm" ? 12 : 0), minute: Number(minute) };
  if (Number(hour) < 1 || Number(hour) > 12 || at.minute > 59) return null;
  try {
    const today = wallClock(now, zone as string);
    if (month === undefined) {
      const [sooner, later] = [0, 1].map((days) => instant({ ...today, day: today.day + days, ...at }, zone as string));
      // The current minute counts as the future, because the text leaves out the seconds.
      return (sooner as number) > now - 60_000 ? (sooner as number) : (later as number);
    }
    const inMonth = MONTHS.indexOf(month.toLowerCase());
    if (inMonth < 0) return null;
    const named = { year: year === undefined ? today.year : Number(year), month: inMonth, day: Number(day), ...at };
    const time = instant(named, zone as string);
    // In December, a day in January without a year is in the next year.
    return year === undefined && time < now - DAY_MS
      ? instant({ ...named, year: named.year + 1 }, zone as string)
      : time;
  } catch (error) {
    // Intl throws a RangeError for an unknown time zone.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

interface WallClock {
  readonly year: number;
  /** January is 0. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
}

/** What a clock in `zone` shows at `time`, Unix time in ms. */
function wallClock(time: number, zone: string): WallClock {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  }).formatToParts(time);
  const value = (type: string) => Number(parts.find((part) => part.type === type)?.value);
  return {
    year: value("year"),
    month: value("month") - 1,
    day: value("day"),
    hour: value("hour"),
    minute: value("minute"),
  };
}

const asUtc = ({ year, month, day, hour, minute }: WallClock): number => Date.UTC(year, month, day, hour, minute);

/** The Unix time in ms at which a clock in `zone` shows this. */
function instant(clock: WallClock, zone: string): number {
  const wanted = asUtc(clock);
  let time = wanted;
  // The zone's offset at the first guess differs from the one at the result if summer time begins or ends in between.
  for (let round = 0; round < 2; round += 1) time += wanted - asUtc(wallClock(time, zone));
  return time;
}
