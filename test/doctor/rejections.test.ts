/** What `synthesis doctor` says of usage limits, by the health of the server that runs. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rejectionChecks } from "../../src/doctor/rejections.ts";
import { besideServer, createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture();
});
afterEach(() => fixture[Symbol.dispose]());

/** The checks beside a server with this health. */
const beside = (health: object) => besideServer(fixture, health, rejectionChecks);

test("names each limit that is reached, and when it resets", async () => {
  const rejections = [{ window: "seven_day_opus", models: ["opus"], resets_at: Date.now() + 7_200_000 }];
  expect(await beside({ ok: true, rejections })).toEqual([
    expect.objectContaining({
      id: "usage_limit.reached",
      result: "warning",
      found: expect.stringMatching(/usage limit for Opus.*resets in 2 h,/),
    }),
  ]);
});

test("is content when no message is refused", async () => {
  expect(await beside({ ok: true, rejections: [] })).toEqual([expect.objectContaining({ id: "usage_limit.ok" })]);
});

test("says nothing when no server runs, or one of an earlier version", async () => {
  expect([await rejectionChecks(fixture.paths), await beside({ ok: true })]).toEqual([[], []]);
});
