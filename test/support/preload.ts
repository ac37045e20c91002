/** Runs before all tests, and hides the home, the keys and the settings of the user who runs them. */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const home = mkdtempSync(join(tmpdir(), "synthesis-test-home-"));
for (const name of Object.keys(process.env)) {
  if (/^(SYNTHESIS_(?!TEST_)|ANTHROPIC_|CLAUDE|OPENAI_|DISABLE_|DO_NOT_TRACK)/.test(name)) delete process.env[name];
}
process.env.HOME = home;
afterAll(() => rmSync(home, { recursive: true, force: true }));
