import { afterEach, expect, test } from "bun:test";
import { basename } from "node:path";
import { findMarked, killGroup, killMarked, MARK_VARIABLE, markOf } from "../../src/claude/process-mark.ts";
import { waitForExit } from "../support/processes.ts";

let children: Bun.Subprocess[] = [];
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
});

const start = (env: Record<string, string>) => {
  const child = Bun.spawn(["sleep", "1000"], { env: { PATH: "/usr/bin:/bin", ...env } });
  children.push(child);
  return child;
};
const isRunning = ({ exitCode, signalCode }: Bun.Subprocess) => exitCode === null && signalCode === null;

test("only processes with exactly this mark are found and killed", async () => {
  const folder = `/run/${crypto.randomUUID()}`;
  const mark = basename(folder);
  const marked = start({ [MARK_VARIABLE]: mark });
  const others = [
    start({ [MARK_VARIABLE]: `${mark}0` }),
    start({ [MARK_VARIABLE]: mark.slice(0, -1) }),
    start({ [`X_${MARK_VARIABLE}`]: mark }),
    start({ NOTE: markOf(folder) }),
    start({ NOTE: `a ${markOf(folder)} b` }),
  ];
  expect(findMarked(markOf(folder))).toEqual([marked.pid]);
  killMarked(markOf(folder));

  await waitForExit([marked.pid]);
  expect(others.map(isRunning)).toEqual(others.map(() => true));
});

test("killing a group that no longer exists is not an error", async () => {
  const child = Bun.spawn(["true"], { detached: true });
  await child.exited;

  expect(() => killGroup(child.pid)).not.toThrow();
});

/** A program that starts others without end. */
const SPAWNER = `const spawn = () => {
  for (let count = 0; count < 3; count += 1) {
    Bun.spawn(["sleep", "1000"], { detached: true, stdio: ["ignore", "ignore", "ignore"] }).unref();
  }
  setTimeout(spawn, 1);
};
spawn();
console.log("ready");`;

test("a process that a dead one has just started is found, although it does not show its environment yet", async () => {
  for (let round = 0; round < 60; round += 1) {
    const mark = `${MARK_VARIABLE}=${crypto.randomUUID()}`;
    const env = { PATH: "/usr/bin:/bin", [MARK_VARIABLE]: mark.slice(MARK_VARIABLE.length + 1) };
    const parent = Bun.spawn([process.execPath, "-e", SPAWNER], { env, stdout: "pipe", stderr: "ignore" });
    await parent.stdout.getReader().read();
    await Bun.sleep(Math.random() * 5);
    parent.kill("SIGKILL");
    await parent.exited;
    killMarked(mark);
    // Those that were killed take a moment to end. One that was not found would run on, and the test with it.
    while (findMarked(mark).length > 0) await Bun.sleep(5);
  }
}, 30_000);
