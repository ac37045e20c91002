/** The server's port: free, used by the server of this state folder, or used by something else. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { portCheck } from "../../src/doctor/port.ts";
import { acquireLock } from "../../src/store/lock.ts";
import { createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture();
});
afterEach(() => fixture[Symbol.dispose]());

const check = (bridgePort: number) => portCheck(fixture.paths, fixture.config({ bridgePort }));
const listen = (answer: object) => Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(answer) });

test("accepts a free port", async () => {
  expect(await check(0)).toMatchObject({ id: "port.ok" });
});

test("rejects a port that another program uses", async () => {
  using other = listen({});
  expect(await check(other.port ?? 0)).toMatchObject({
    id: "port.used_by_another_program",
    result: "failed",
    found: expect.stringContaining(`${other.port}`),
    advice: expect.stringContaining("SYNTHESIS_BRIDGE_PORT"),
  });
});

test("recognises another synthesis by its health", async () => {
  using other = listen({ ok: true, version: "0.1.0", processes: 0, conns: 0 });
  expect(await check(other.port ?? 0)).toMatchObject({ id: "port.used_by_synthesis", result: "failed" });
});

test("finds the server of this state folder by its lock", async () => {
  const taken = acquireLock(fixture.paths.lock);
  if (!("lock" in taken)) throw new Error("the lock is held");
  taken.lock.announce(12_345);
  expect(await check(12_345)).toMatchObject({
    id: "port.ok",
    found: expect.stringMatching(new RegExp(`${process.pid}.*12345`)),
  });
  taken.lock.release();
});
