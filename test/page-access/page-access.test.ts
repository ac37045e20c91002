/** How long codes and tokens of the page are valid, and how many of them. */
import { expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { CODE_MS, PageAccess } from "../../src/page-access/page-access.ts";
import { ManualClock } from "../support/manual-clock.ts";

const codeOf = (attempt: () => unknown): string | undefined => {
  try {
    attempt();
  } catch (error) {
    return error instanceof RequestError ? error.code : `${error}`;
  }
};

test("a code is exchanged once, within a minute", async () => {
  const clock = new ManualClock();
  const access = new PageAccess(clock);
  const { code } = access.createCode("look");
  const late = access.createCode("decide").code;
  await clock.pass(CODE_MS - 1);
  expect(access.exchange(code).role).toBe("look");
  expect(codeOf(() => access.exchange(code))).toBe("invalid_page_code");
  await clock.pass(1);
  expect(codeOf(() => access.exchange(late))).toBe("invalid_page_code");
});

test("after many wrong codes a wrong one is refused for a minute, and a right one is not", async () => {
  const clock = new ManualClock();
  const access = new PageAccess(clock);
  for (let attempt = 0; attempt < 20; attempt += 1) {
    expect(codeOf(() => access.exchange("wrong"))).toBe("invalid_page_code");
  }
  expect(codeOf(() => access.exchange("wrong"))).toBe("too_many_attempts");
  expect(access.exchange(access.createCode("decide").code).role).toBe("decide");
  await clock.pass(60_000);
  expect(codeOf(() => access.exchange("wrong"))).toBe("invalid_page_code");
});

test("a token ends with the sign-out, with the server, and when too many others come in", () => {
  const access = new PageAccess(new ManualClock());
  const enter = () => access.exchange(access.createCode("decide").code).token;
  const tokens = Array.from({ length: 33 }, enter);
  const [first = "", second = "", third = ""] = tokens;
  expect(access.find(first)).toBeNull();
  const signedIn = access.find(second);
  expect(access.end(second)).toBe(true);
  expect([signedIn?.ended.aborted, access.find(second), access.end(second)]).toEqual([true, null, false]);
  const open = access.find(third);
  access.close();
  expect([open?.ended.reason, access.find(third)]).toEqual(["stopped", null]);
});
