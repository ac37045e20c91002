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
