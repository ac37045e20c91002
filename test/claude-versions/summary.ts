/** What a run of the end-to-end tests on one version of Claude Code has shown, for people. */
import { TESTED_VERSIONS } from "../../src/claude/tested-versions.ts";

export type Engine = "interactive" | "stream";

export interface EngineResult {
  readonly engine: Engine;
  readonly passed: number;
  readonly skipped: number;
  /** `file: test` of each test that failed. */
  readonly failed: readonly string[];
  /** The exit code of `bun test`. It also fails when a file cannot be loaded, of which the report says nothing. */
  readonly exitCode: number;
}

/** Reads the JUnit report that `bun test` writes. @param xml empty when there is no report */
export function readReport(engine: Engine, xml: string, exitCode: number): EngineResult {
  const failed: string[] = [];
  let passed = 0;
  let skipped = 0;
  for (const [, attributes = "", content = ""] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const attribute = (name: string) => decodeEntities(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    if (content.includes("<skipped")) skipped++;
    else if (content.includes("<failure")) {
      const names = [attribute("classname"), attribute("name")].filter((name) => name !== "");
      failed.push(`${attribute("file")}: ${names.join(" > ")}`);
    } else passed++;
  }
  return { engine, passed, skipped, failed, exitCode };
}

const isGood = ({ exitCode, passed, failed }: EngineResult): boolean =>
  exitCode === 0 && passed > 0 && failed.length === 0;

/**
 * @param claude the path of the program
 * @param results one for each engine
 */
export function summarize(
  version: string,
  claude: string,
  results: readonly EngineResult[],
): { text: string; ok: boolean } {
  const ok = results.every(isGood);
  const lines = results.flatMap((result) => {
    const { engine, passed, skipped, failed, exitCode } = result;
    const unexplained = !isGood(result) && failed.length === 0;
    return [
      `  ${isGood(result) ? "✓" : "✗"} ${engine}: ${passed} passed, ${failed.length} failed, ${skipped} skipped`,
      ...failed.map((test) => `      ${test}`),
      ...(unexplained ? [`      bun test ended with code ${exitCode}; its output above says why`] : []),
    ];
  });
  return { ok, text: [`Claude Code ${version}`, ...lines, "", advice(version, claude, ok)].join("\n") };
}

function advice(version: string, claude: string, ok: boolean): string {
  if (!ok) {
    return (
      "A slow machine fails tests, too. Repeat one alone, with TEST_ENGINE=stream for that engine, and compare with the " +
      `pinned version:\n  SYNTHESIS_TEST_CLAUDE=${claude} bun test --timeout 60000 test/e2e/FILE -t NAME`
    );
  }
  const isNewer = Bun.semver.order(version, TESTED_VERSIONS.newest) > 0;
  if (!isNewer) return "Everything passed.";
  return (
    `Everything passed. To take it: \`bun add -d --exact @anthropic-ai/claude-code@${version}\`, and \`newest\` in ` +
    "src/claude/tested-versions.ts."
  );
}

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'", "#10": "\n" };
const decodeEntities = (text: string): string =>
  text.replace(/&(lt|gt|amp|quot|apos|#10);/g, (_entity, name: string) => ENTITIES[name] ?? "");
