import { expect, test } from "bun:test";
import { measureTrees } from "../../../src/claude/pool/memory.ts";
import { MEGABYTE } from "../../../src/core/machine.ts";

test("the memory of a process includes its descendants", async () => {
  const parent = Bun.spawn(["sh", "-c", "sleep 10; :"], { stderr: "ignore", detached: true });
  try {
    await Bun.sleep(100);
    const before = (await measureTrees([process.pid])).get(process.pid) ?? 0;
    const child = (await measureTrees([parent.pid])).get(parent.pid) ?? 0;

    expect(child).toBeGreaterThan(0);
    expect(before).toBeGreaterThan(MEGABYTE);
    expect(before).toBeGreaterThan(child);
  } finally {
    process.kill(-parent.pid, "SIGKILL");
  }
});

test("a process that has exited is left out", async () => {
  const child = Bun.spawn(["true"]);
  await child.exited;

  expect(await measureTrees([child.pid])).toEqual(new Map());
});
