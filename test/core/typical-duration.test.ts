/** How long a client is asked to wait. */
import { expect, test } from "bun:test";
import { TypicalDuration } from "../../src/core/typical-duration.ts";

test("counts the waves in which the work runs", () => {
  const duration = new TypicalDuration(10_000);
  expect(duration.retryAfter(1, 1)).toBe(10);
  expect(duration.retryAfter(6, 3)).toBe(20);
});

test("follows the measurements slowly", () => {
  const duration = new TypicalDuration(8_000);
  duration.add(16_000);
  expect(duration.retryAfter(1, 1)).toBe(9);
  for (let times = 0; times < 100; times += 1) duration.add(2_000);
  expect(duration.retryAfter(1, 1)).toBe(3);
});

test("stays between one second and ten minutes", () => {
  expect(new TypicalDuration(1).retryAfter(1, 8)).toBe(1);
  expect(new TypicalDuration(3_600_000).retryAfter(64, 1)).toBe(600);
});
