/** Files that Claude may have replaced with something else. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChannelState, watchDebugLog } from "../../src/claude/interactive/debug-log.ts";
import { restrictingFiles } from "../../src/claude/restricting-settings.ts";
import { readSmallFile } from "../../src/core/regular-file.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-files-"));
  file = join(folder, "file");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const codeOf = (read: () => unknown): string | undefined => {
  try {
    read();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};
const fifo = () => void Bun.spawnSync(["mkfifo", file]);

test("reads only small regular files, and follows links only on request", () => {
  expect(codeOf(() => readSmallFile(file))).toBe("ENOENT");
  fifo();
  expect(codeOf(() => readSmallFile(file))).toBe("EINVAL");
  writeFileSync(join(folder, "text"), "ä");
  symlinkSync("text", join(folder, "link"));
  expect(codeOf(() => readSmallFile(join(folder, "link")))).toBe("ELOOP");
  expect(readSmallFile(join(folder, "link"), { followsLink: true })).toBe("ä");
  writeFileSync(join(folder, "large"), "");
  truncateSync(join(folder, "large"), 3 * 1024 ** 3);
  expect(codeOf(() => readSmallFile(join(folder, "large")))).toBe("EFBIG");
  expect(codeOf(() => readSmallFile(folder))).toBe("EINVAL");
});

test("workspace settings that cannot be read count as restrictions", () => {
  mkdirSync(join(folder, ".claude"));
  Bun.spawnSync(["mkfifo", join(folder, ".claude/settings.json")]);
  expect(restrictingFiles(folder, { CLAUDE_CONFIG_DIR: join(folder, "none") })).toEqual([
    join(folder, ".claude/settings.json"),
  ]);
});

test("a debug log that becomes a FIFO does not block, and one that grows is truncated", () => {
  writeFileSync(file, "");
  const states: ChannelState[] = [];
  const log = watchDebugLog(
    file,
    (state) => states.push(state),
    () => {},
  );
  appendFileSync(file, "Channel notifications registered\n");
  log.check();
  expect(states).toEqual([{ registered: true }]);
  truncateSync(file, 5 * 1024 * 1024);
  log.check();
  expect(statSync(file).size).toBe(0);
  rmSync(file);
  fifo();
  log.check();
  log.close();
});
