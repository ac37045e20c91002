/** What `bun run test:claude` reports. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TESTED_VERSIONS } from "../../src/claude/tested-versions.ts";
import { type EngineResult, readReport, summarize } from "./summary.ts";

/** Runs this content as a test file. @returns the exit code and the JUnit report of `bun test` */
async function reportOf(content: string): Promise<[xml: string, exitCode: number]> {
  const folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  try {
    writeFileSync(join(folder, "some.test.ts"), `import { describe, expect, test } from "bun:test";\n${content}`);
    const child = Bun.spawn([process.execPath, "test", "--reporter=junit", "--reporter-outfile=report.xml"], {
      cwd: folder,
      stdio: ["ignore", "ignore", "ignore"],
    });
    const exitCode = await child.exited;
    return [readFileSync(join(folder, "report.xml"), "utf8"), exitCode];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const good = (engine: "interactive" | "stream"): EngineResult => ({
  engine,
  passed: 3,
  skipped: 0,
  failed: [],
  exitCode: 0,
});

test("reads from the report of bun test what passed, failed and was left out", async () => {
  const content = `
    test("one", () => {});
    describe("a <group>", () => { test("that 'fails' & \\"more\\"", () => { expect(1).toBe(2); }); });
    test("times out", () => new Promise(() => {}), 10);
    test.skip("left out", () => {});`;
  expect(readReport("stream", ...(await reportOf(content)))).toEqual({
    engine: "stream",
    passed: 1,
    skipped: 1,
    failed: [`some.test.ts: a <group> > that 'fails' & "more"`, "some.test.ts: times out"],
    exitCode: 1,
  });
});

test("a version that passes on both engines is good, and a newer one is offered as the new pin", () => {
  const { text, ok } = summarize("2.1.1000", "/claude", [good("interactive"), good("stream")]);
  expect(ok).toBeTrue();
  expect(text).toContain("@anthropic-ai/claude-code@2.1.1000");
  expect(summarize(TESTED_VERSIONS.newest, "/claude", [good("stream")]).text).not.toContain("bun add");
});

test.each<[what: string, result: Partial<EngineResult>, shown: string]>([
  ["one test failed", { failed: ["test/e2e/a.test.ts: b"], exitCode: 1 }, "      test/e2e/a.test.ts: b\n"],
  ["a file could not be loaded", { exitCode: 1 }, "ended with code 1"],
  ["no test ran", { passed: 0 }, "0 passed"],
])("a version is not good when %s", (_what, result, shown) => {
  const { text, ok } = summarize("2.1.1000", "/cached/claude", [good("interactive"), { ...good("stream"), ...result }]);
  expect(ok).toBeFalse();
  expect(text).toContain("✓ interactive");
  expect(text).toContain("✗ stream");
  expect(text).toContain(shown);
  expect(text).toContain("SYNTHESIS_TEST_CLAUDE=/cached/claude");
});
