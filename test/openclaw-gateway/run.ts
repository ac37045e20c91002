/**
 * `bun run test:openclaw` installs the pinned OpenClaw and runs the tests on it. Their names keep them out of
 * `bun test`, since they take minutes and a download the first time.
 */
import { join } from "node:path";
import { installOpenClaw } from "../support/openclaw-install.ts";

const started = performance.now();
const { folder } = await installOpenClaw();
console.log(`OpenClaw: ${folder} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
const chosen = process.argv.slice(2);
const files = [...new Bun.Glob("*.real.ts").scanSync(import.meta.dir)]
  .sort()
  .map((file) => join(import.meta.dir, file));
const tests = Bun.spawn([process.execPath, "test", "--timeout", "180000", "--parallel=2", ...files, ...chosen], {
  cwd: join(import.meta.dir, "../.."),
  env: { ...process.env, SYNTHESIS_TEST_OPENCLAW: folder },
  stdio: ["ignore", "inherit", "inherit"],
});
process.exit(await tests.exited);
