/** When Claude Code is asked which settings it uses. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SettingsReports } from "../../../src/claude/stream/settings-reports.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function world() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  folders.push(folder);
  mkdirSync(join(folder, ".claude"));
  const claudeBin = join(folder, "claude");
  writeFileSync(claudeBin, "", { mode: 0o700 });
  const clock = new ManualClock();
  const reports = new SettingsReports({ claudeBin }, { HOME: join(folder, "home") }, clock);
  let asked = 0;
  /** Starts a process. @param whenStarted runs before the process has read its settings */
  const start = (place: object = {}, whenStarted: (() => unknown) | null = () => {}) =>
    reports.find(
      { workspace: folder, isIsolated: false, ...place },
      whenStarted && Promise.resolve().then(whenStarted),
      async () => {
        asked += 1;
        return { sources: [], faulty: [], defaultModel: `model ${asked}` };
      },
    );
  return {
    start,
    clock,
    claudeBin,
    write: (content: string) => writeFileSync(join(folder, ".claude/settings.json"), content),
    asked: () => asked,
  };
}

test("a process that starts with the same settings as another is not asked", async () => {
  const { start, asked } = world();
  await start();
  expect((await start())?.defaultModel).toBe("model 1");
  expect(asked()).toBe(1);
});

test.each([
  ["settings were changed", ({ write }: ReturnType<typeof world>) => write('{"permissions": {"deny": ["Read"]}}')],
  ["program was replaced", ({ claudeBin }: ReturnType<typeof world>) => utimesSync(claudeBin, 1, 1)],
  ["report is ten minutes old", ({ clock }: ReturnType<typeof world>) => clock.pass(10 * 60_000)],
])("a process is asked when the %s", async (_what, change) => {
  const one = world();
  await one.start();
  await change(one);
  expect((await one.start())?.defaultModel).toBe("model 2");
});

test("a process is asked when the settings change while it starts, and its report is kept only for settings that stay", async () => {
  const { start, write, asked } = world();
  await start();
  expect((await start({}, () => write("{}")))?.defaultModel).toBe("model 2");
  // Which of the two files the second process has read is not known.
  expect((await start())?.defaultModel).toBe("model 3");
  expect((await start())?.defaultModel).toBe("model 3");
  expect(asked()).toBe(3);
});

test.each([
  ["in another workspace", { workspace: "/nowhere" }],
  ["that reads other files", { isIsolated: true }],
])("a process %s is asked", async (_what, place) => {
  const { start } = world();
  await start();
  expect((await start(place))?.defaultModel).toBe("model 2");
});

test("a spare is always asked, because only its report shows that it has started", async () => {
  const { start, asked } = world();
  await start({}, null);
  await start({}, null);
  expect(asked()).toBe(2);
});
