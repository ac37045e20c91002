/** A short form of `bun run test:security`, and tests that its measurements can fail. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPauseFile, RECORD_PAUSES } from "../support/pauses.ts";
import { broken } from "./hostile-values.ts";
import { random } from "./random.ts";
import { FORMS, runSuite } from "./suite.ts";
import { openTarget } from "./target.ts";

test("survives every attack without a crash, a long pause, a leak or a way in", async () => {
  const breaches: string[] = [];
  await runSuite(FORMS.short, 1, /./, ({ name, why }) => {
    if (why !== null) breaches.push(`${name}: ${why}`);
  });
  expect(breaches).toEqual([]);
}, 240_000);

/** The longest pause that is recorded while a program runs. */
async function longestPauseOf(program: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "synthesis-test-watch-"));
  const pauses = createPauseFile(join(folder, "pauses"));
  const script = `${program}; setTimeout(() => {}, 100)`;
  await Bun.spawn([process.execPath, ...RECORD_PAUSES, "-e", script], { env: pauses.env }).exited;
  const longest = pauses.longest();
  rmSync(folder, { recursive: true });
  return longest;
}

test("measures a pause of the event loop that uses CPU time, and ignores one of the machine", async () => {
  const cpu = "const cpu = () => process.threadCpuUsage().user / 1000; const before = cpu();";
  const busy = await longestPauseOf(`setTimeout(() => { ${cpu} while (cpu() - before < 300); }, 50)`);
  expect(busy).toBeGreaterThanOrEqual(300);
  const asleep = await longestPauseOf("setTimeout(() => Bun.sleepSync(300), 50)");
  expect(asleep).toBeLessThan(300);
}, 60_000);

test("reports a server that has exited as a breach, and starts another", async () => {
  await using target = await openTarget();
  const ended = target.server().exited;
  process.kill(target.server().pid, "SIGKILL");
  await ended;
  await expect(target.ensureAlive()).rejects.toThrow("the server ended");
  await target.ensureAlive();
  expect(await target.say("hello", "again")).toContain("You said: hello");
}, 60_000);

test("generates the same inputs from the same seed, and others from another", () => {
  const inputs = (seed: number) =>
    Array.from({ length: 20 }, (_, at) =>
      broken(Buffer.from('{"a":[1,2,3]}'), random(seed, "chat", at)).toString("hex"),
    );
  expect(inputs(7)).toEqual(inputs(7));
  expect(inputs(8)).not.toEqual(inputs(7));
});
