/**
 * `bun run test:clients` installs the pinned clients and plays the table with them: `libraries.real.ts` and
 * `programs.real.ts`. Their names keep them out of `bun test`, since the clients are a large download.
 */
import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { installPinned } from "../support/pinned-install.ts";

const folder = import.meta.dir;
const root = join(folder, "../..");
const started = performance.now();
const installed = await installPinned(folder);
console.log(`clients: ${installed} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
const link = join(folder, "node_modules");
rmSync(link, { recursive: true, force: true });
symlinkSync(join(installed, "node_modules"), link);

const files = [...new Bun.Glob("*.real.ts").scanSync(folder)].sort().map((file) => join(folder, file));
const chosen = process.argv.slice(2);
// The clients' own types say whether they are used as documented.
await run([join(root, "node_modules/.bin/tsc"), "-p", folder]);
await run([process.execPath, "test", "--timeout", "120000", "--parallel=2", ...files, ...chosen]);

/** Runs a command, and exits as it does if it fails. */
async function run(command: string[]): Promise<void> {
  const child = Bun.spawn(command, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  const code = await child.exited;
  if (code !== 0) process.exit(code);
}
