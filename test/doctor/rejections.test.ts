/** What `synthesis doctor` says of usage limits, by the health of the server that runs. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rejectionChecks } from "../../src/doctor/rejections.ts";
import { acquireLock } from "../../src/store/lock.ts";
import { createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture();
});
afterEach(() => fixture[Symbol.dispose]());

/** The checks beside a server with this health. */
async function beside(health: object) {
  using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(health) });
  const taken = acquireLock(fixture.paths.lock);
  if (!("lock" in taken)) throw new Error("the lock is held");
  taken.lock.announce(server.port ?? 0);
  const checks = await rejectionChecks(fixture.paths);
  taken.lock.release();
  return checks;
}

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
