import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const WATCHDOG = join(import.meta.dir, "../../../src/claude/pool/watchdog.ts");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A server with a watchdog. Its sweep makes a file. @param end how the server ends */
async function runServer(end: string): Promise<string> {
  const swept = join(folder, "swept");
  const server = join(folder, "server.ts");
  writeFileSync(
    server,
    `import { startWatchdog } from ${JSON.stringify(WATCHDOG)};
     const watchdog = startWatchdog(["touch", ${JSON.stringify(swept)}]);
     await Bun.sleep(100);
     ${end}`,
  );
  await Bun.spawn([process.execPath, server]).exited;
  return swept;
}

test("the watchdog sweeps when the server is killed", async () => {
  const swept = await runServer('process.kill(process.pid, "SIGKILL");');
  while (!existsSync(swept)) await Bun.sleep(20);
});

test("a watchdog that was dismissed does not sweep", async () => {
  const swept = await runServer("watchdog.dismiss();");
  await Bun.sleep(300);

  expect(existsSync(swept)).toBe(false);
});
