/** `synthesis setup claude`, on a folder of managed settings of its own. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readManagedSettings } from "../../src/claude/managed-settings.ts";
import { PROGRAM } from "../support/server.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  file = join(folder, "managed-settings.d/50-synthesis.json");
});
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

async function setup(args: string[], where = folder): Promise<{ code: number; said: string }> {
  const child = Bun.spawn([...PROGRAM, "setup", "claude", "--folder", where, ...args], {
    env: { PATH: "/usr/bin:/bin", HOME: folder },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, said: stdout + stderr };
}
const put = (name: string, settings: object) => {
  mkdirSync(join(folder, "managed-settings.d"), { recursive: true });
  writeFileSync(join(folder, name), JSON.stringify(settings));
};
const OURS = { marketplace: "inline", plugin: "synthesis" };

test("shows the file and what it does, and writes nothing", async () => {
  const { code, said } = await setup([]);
  expect(code).toBe(0);
  for (const part of [file, '"channelsEnabled": true', '"plugin": "synthesis"', "sudo", "other plugins"]) {
    expect(said).toContain(part);
  }
  expect(existsSync(file)).toBe(false);
});

test("--write lets our channel in, for everybody; --remove takes that back", async () => {
  expect(readManagedSettings("synthesis", folder).channelAllowed).toBe(false);
  expect((await setup(["--write"])).code).toBe(0);
  expect(readManagedSettings("synthesis", folder)).toEqual({
    channelAllowed: true,
    channelsDisabled: false,
    hooksForbidden: false,
  });
  expect(statSync(file).mode & 0o777).toBe(0o644);
  expect((await setup(["--remove"])).said).toContain("Removed");
  expect([existsSync(file), (await setup(["--remove"])).said]).toEqual([false, expect.stringContaining("There is no")]);
});

test("written twice it is the same, and what others have listed stays listed", async () => {
  const theirs = { marketplace: "official", plugin: "telegram" };
  put("managed-settings.json", {
    channelsEnabled: true,
    allowedChannelPlugins: [theirs],
    permissions: { deny: ["Bash"] },
  });
  put("managed-settings.d/90.json", { allowedChannelPlugins: [OURS] });
  await setup(["--write"]);
  const first = readFileSync(file, "utf8");
  expect(JSON.parse(first)).toEqual({ channelsEnabled: true, allowedChannelPlugins: [theirs, OURS] });
  await setup(["--write"]);
  expect(readFileSync(file, "utf8")).toBe(first);
});

test("an administrator's no is not overridden", async () => {
  put("managed-settings.json", { channelsEnabled: false });
  const { code, said } = await setup(["--write"]);
  expect([code, existsSync(file)]).toEqual([2, false]);
  expect(said).toContain("managed-settings.json switches channels off");
});

test("without root it says to use sudo", async () => {
  // Root may write anywhere but into the kernel's own folder.
  const closed = process.getuid?.() === 0 ? "/sys/synthesis-test" : folder;
  if (closed === folder) chmodSync(folder, 0o500);
  const { code, said } = await setup(["--write"], closed);
  expect(said).toMatch(/administrator's \(E\w+\)\. Run this command once more with sudo/);
  expect(code).toBe(2);
});
