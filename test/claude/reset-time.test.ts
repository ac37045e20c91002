import { expect, test } from "bun:test";
import { resetTime } from "../../src/claude/reset-time.ts";

const at = (iso: string) => Date.parse(iso);

const known: [text: string, now: string, reset: string][] = [
  ["You've hit your 5-hour limit · resets 1:10am (Europe/Berlin)", "2026-11-26T22:47:00Z", "2026-11-27T00:10:00Z"],
  ["You've hit your session limit · resets 3pm (UTC)", "2026-11-26T12:00:00Z", "2026-11-26T15:00:00Z"],
  ["resets 3pm (UTC)", "2026-11-26T15:30:00Z", "2026-11-27T15:00:00Z"],
  ["resets 12am (UTC)", "2026-11-26T23:00:00Z", "2026-11-27T00:00:00Z"],
  ["resets 12pm (America/New_York)", "2026-07-01T12:00:00Z", "2026-07-01T16:00:00Z"],
  ["resets 12:30 PM (Asia/Kolkata)", "2026-07-01T00:00:00Z", "2026-07-01T07:00:00Z"],
  [
    "You've hit your weekly limit · resets Nov 30, 5:09am (America/New_York)",
    "2026-11-26T22:49:00Z",
    "2026-11-30T10:09:00Z",
  ],
  ["resets Jan 2, 9am (UTC)", "2026-12-30T12:00:00Z", "2027-01-02T09:00:00Z"],
  ["resets Jan 2, 2027, 9am (UTC)", "2026-12-30T12:00:00Z", "2027-01-02T09:00:00Z"],
  ["resets Nov 28 at 3pm (Pacific/Auckland)", "2026-11-26T00:00:00Z", "2026-11-28T02:00:00Z"],
  // Summer time begins or ends in between.
  ["resets 8am (Europe/Berlin)", "2026-03-28T22:00:00Z", "2026-03-29T06:00:00Z"],
  ["resets 8am (Europe/Berlin)", "2026-10-24T21:00:00Z", "2026-10-25T07:00:00Z"],
  ["resets 1:10am (Europe/Berlin)", "2026-11-27T00:10:30Z", "2026-11-27T00:10:00Z"],
];
test.each(known)("%j at %s means %s", (text, now, reset) => {
  expect(new Date(resetTime(text, at(now)) ?? 0).toISOString()).toBe(new Date(at(reset)).toISOString());
});

const unknown = [
  "This request would exceed your account's rate limit. Please try again later.",
  "resets soon",
  "resets 3pm",
  "resets 3pm (Middle/Earth)",
  "resets 13pm (UTC)",
  "resets 0am (UTC)",
  "resets 3:75pm (UTC)",
  "resets Foo 30, 5am (UTC)",
];
test.each(unknown)("%j names no time", (text) => {
  expect(resetTime(text, at("2026-11-26T12:00:00Z"))).toBeNull();
});
