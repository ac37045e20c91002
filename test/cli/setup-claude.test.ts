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

async function setup(args: string[], where = folder): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([...PROGRAM, "setup", "claude", "--folder", where, ...args], {
    env: { PATH: "/usr/bin:/bin", HOME: folder },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, output: stdout + stderr };
}
const put = (name: string, settings: object) => {
  mkdirSync(join(folder, "managed-settings.d"), { recursive: true });
  writeFileSync(join(folder, name), JSON.stringify(settings));
};
const OURS = { marketplace: "inline", plugin: "synthesis" };

test("shows the file and explains it, and writes nothing", async () => {
  const { code, output } = await setup([]);
  expect(code).toBe(0);
  for (const part of [file, '"channelsEnabled": true', '"plugin": "synthesis"', "sudo", "other plugins"]) {
    expect(output).toContain(part);
  }
  expect(existsSync(file)).toBe(false);
});

test("--write allows our channel for every user, and --remove undoes it", async () => {
  expect(readManagedSettings("synthesis", folder).channelAllowed).toBe(false);
  expect((await setup(["--write"])).code).toBe(0);
  expect(readManagedSettings("synthesis", folder)).toEqual({
    channelAllowed: true,
    channelsDisabled: false,
    hooksForbidden: false,
    pluginForbidden: false,
  });
  expect(statSync(file).mode & 0o777).toBe(0o644);
  expect((await setup(["--remove"])).output).toContain("Removed");
  expect([existsSync(file), (await setup(["--remove"])).output]).toEqual([
    false,
    expect.stringContaining("does not exist"),
  ]);
});

test("--write keeps the plugins that other files list, and changes nothing the second time", async () => {
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

test("--write is refused when the administrator has disabled channels", async () => {
  put("managed-settings.json", { channelsEnabled: false });
  const { code, output } = await setup(["--write"]);
  expect([code, existsSync(file)]).toEqual([2, false]);
  expect(output).toContain("managed-settings.json disables channels");
});

test("--write without root says to use sudo", async () => {
  // Root may write everywhere except in a folder of the kernel.
  const closed = process.getuid?.() === 0 ? "/sys/synthesis-test" : folder;
  if (closed === folder) chmodSync(folder, 0o500);
  const { code, output } = await setup(["--write"], closed);
  expect(output).toMatch(/Only root can change \S+ \(E\w+\)\. Run this command again with sudo/);
  expect(code).toBe(2);
});
