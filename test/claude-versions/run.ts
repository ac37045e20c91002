/**
 * `bun run test:claude --version X` runs `test/e2e` on any version of Claude Code; `--newest` asks the registry for the
 * newest one. `.ci/run` does not run it: a release of another project must not stop a change of ours from landing.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { installClaude, newestVersion } from "./install.ts";
import { type Engine, type EngineResult, readReport, summarize } from "./summary.ts";

interface Options {
  readonly version?: string;
  readonly newest?: boolean;
  readonly engine?: Engine;
}

const root = join(import.meta.dir, "../..");
const FOLDER = "test/e2e";
/** How the tests of an engine are run. Options of `bun test` and, for the first, files are added. */
const COMMANDS: Record<Engine, string[]> = {
  interactive: ["test", "--timeout", "60000", "--parallel=3"],
  stream: ["test/engines/stream.ts"],
};

const command = new Command("test:claude")
  .description("run test/e2e on any version of Claude Code, and say what passed")
  .option("--version <version>", "an exact version, such as 2.1.330")
  .option("--newest", "the newest version in the registry")
  .addOption(new Option("--engine <engine>", "only this engine").choices(["interactive", "stream"]))
  .action(run);
await command.parseAsync();

async function run({ version: chosen, newest, engine }: Options): Promise<void> {
  if ((chosen === undefined) === (newest === undefined)) command.error("Name a --version, or use --newest.");
  if (chosen !== undefined && !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(chosen))
    command.error(`${chosen} is no exact version.`);
  const version = chosen ?? (await newestVersion());
  const claude = await installClaude(version);
  console.log(`Claude Code ${version}: ${claude}`);
  const engines: readonly Engine[] = engine ? [engine] : ["interactive", "stream"];
  const results: EngineResult[] = [];
  for (const one of engines) results.push(await runTests(one, claude));
  const { text, ok } = summarize(version, claude, results);
  console.log(`\n${text}`);
  process.exitCode = ok ? 0 : 1;
}

/** Runs the tests of one engine, and shows their output. */
async function runTests(engine: Engine, claude: string): Promise<EngineResult> {
  const folder = mkdtempSync(join(tmpdir(), "synthesis-test-claude-"));
  const report = join(folder, "report.xml");
  const files = engine === "interactive" ? [...new Bun.Glob(`${FOLDER}/*.test.ts`).scanSync(root)].sort() : [];
  try {
    const tests = Bun.spawn(
      [process.execPath, ...COMMANDS[engine], "--reporter=junit", `--reporter-outfile=${report}`, ...files],
      {
        cwd: root,
        env: { ...process.env, SYNTHESIS_TEST_CLAUDE: claude },
        stdio: ["ignore", "inherit", "inherit"],
      },
    );
    const exitCode = await tests.exited;
    return readReport(engine, existsSync(report) ? readFileSync(report, "utf8") : "", exitCode);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
