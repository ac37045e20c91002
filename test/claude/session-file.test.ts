import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SessionFolder, type SessionListener } from "../../src/claude/session-file.ts";
import { ManualClock } from "../support/manual-clock.ts";

let home: string;
let sessions: string;
let folder: SessionFolder;
let clock: ManualClock;
beforeEach(() => {
  clock = new ManualClock();
  home = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  sessions = join(home, "sessions");
  mkdirSync(sessions);
  folder = new SessionFolder({ CLAUDE_CONFIG_DIR: home }, clock);
});
afterEach(() => {
  folder.close();
  rmSync(home, { recursive: true, force: true });
});

/** On Linux, the start time of this test's own process, in clock ticks. */
const procStart = () => {
  const stat = readFileSync("/proc/self/stat", "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] as string;
};
const content = (pid: number, more: object = {}) =>
  JSON.stringify({ pid, sessionId: "s", startedAt: Date.now(), status: "busy", statusUpdatedAt: 2, ...more });
const write = (pid: number, more: object = {}) => writeFileSync(join(sessions, `${pid}.json`), content(pid, more));

describe("read", () => {
  test("returns the status of a process and since when it has it", () => {
    write(4);

    expect(folder.read(4)).toEqual({ status: "busy", since: 2 });
  });

  test.each<[what: string, plant: (file: string) => void]>([
    ["is missing", () => {}],
    ["has no status yet", (file) => writeFileSync(file, content(4, { status: undefined }))],
    ["is half written", (file) => writeFileSync(file, '{"pid":4,"sess')],
    ["is a FIFO", (file) => void Bun.spawnSync(["mkfifo", file])],
    [
      "is a link",
      (file) => {
        writeFileSync(join(home, "real.json"), content(4));
        symlinkSync(join(home, "real.json"), file);
      },
    ],
    ["is too large", (file) => writeFileSync(file, content(4) + " ".repeat(2 * 1024 * 1024))],
  ])("returns null if the file %s", (_what, plant) => {
    plant(join(sessions, "4.json"));

    expect(folder.read(4)).toBeNull();
  });
});

describe("findRival", () => {
  test("finds a running process that has the session open", async () => {
    write(process.pid);

    expect(await folder.findRival("s")).toBe(process.pid);
    expect(await folder.findRival("another")).toBeNull();
  });

  test("ignores the file of a process that was killed", async () => {
    write(2 ** 30);

    expect(await folder.findRival("s")).toBeNull();
  });

  test.if(process.platform === "linux")("ignores a program that has got the id of a killed process", async () => {
    write(process.pid, { procStart: procStart() });
    expect(await folder.findRival("s")).toBe(process.pid);
    write(process.pid, { procStart: `${Number(procStart()) - 1}` });

    expect(await folder.findRival("s")).toBeNull();
  });

  test("finds nothing before Claude Code has run once", async () => {
    rmSync(sessions, { recursive: true });

    expect(await folder.findRival("s")).toBeNull();
  });
});

describe("watch", () => {
  const watch = (listener: Partial<SessionListener> = {}) => {
    const changed = Promise.withResolvers<void>();
    const rival = Promise.withResolvers<number>();
    folder.watch({
      pid: 4,
      claudeSession: "s",
      onChange: () => changed.resolve(),
      onRival: (pid) => rival.resolve(pid),
      ...listener,
    });
    return { changed: changed.promise, rival: rival.promise };
  };

  test("reports a change of the process's own file", async () => {
    const { changed } = watch();
    write(4);

    await changed;
  });

  test("gives the new status with a change, and without one a moment later", async () => {
    const statuses: (string | undefined)[] = [];
    const idle = Promise.withResolvers<void>();
    const onChange = () => {
      statuses.push(folder.read(4)?.status);
      if (statuses.at(-1) === "idle") idle.resolve();
    };
    write(4);
    watch({ onChange });
    expect(folder.read(4)?.status).toBe("busy");

    // The clock stands still, so only the report of the change makes the folder read again.
    write(4, { status: "idle" });
    await idle.promise;

    folder.close();
    write(4, { status: "shell" });
    await clock.pass(100);
    expect(folder.read(4)?.status).toBe("shell");
  });

  test("reports another process that opens the session", async () => {
    const { rival } = watch();
    write(5, { sessionId: "another" });
    write(6);

    expect(await rival).toBe(6);
  });
});
