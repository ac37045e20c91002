/** What `synthesis doctor` says of a lost login, by the health of the server that runs. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { lostLoginChecks } from "../../src/doctor/lost-login.ts";
import { besideServer, createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture();
});
afterEach(() => fixture[Symbol.dispose]());

/** The checks beside a server with this health. */
const beside = (health: object) => besideServer(fixture, health, lostLoginChecks);

test("warns of a login that the API has rejected, although one is stored", async () => {
  expect(await beside({ login: "expired" })).toEqual([
    expect.objectContaining({ id: "login.lost", result: "warning", advice: expect.stringContaining("/login") }),
  ]);
});

test.each(["ok", "unknown"])("says nothing of a login that is %s", async (login) => {
  expect(await beside({ login })).toEqual([]);
});

test("says nothing when no server runs", async () => {
  expect(await lostLoginChecks(fixture.paths)).toEqual([]);
});
