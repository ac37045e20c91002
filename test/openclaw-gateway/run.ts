/**
 * `bun run test:openclaw` installs the pinned OpenClaw and runs the tests on it with both engines, at the same time. Their
 * names keep them out of `bun test`, since they take minutes and a download the first time. `--engine stream` runs one
 * engine; other arguments go to `bun test`.
 */
import { join } from "node:path";
import { installOpenClaw } from "../support/openclaw-install.ts";

/** Tests that are left out on an engine, and why. */
const LEFT_OUT: Record<string, readonly [test: string, why: string][]> = {
  interactive: [
    ["outlives the node that had it", "the nodes of a fleet find a conversation before an engine takes part"],
    ["without our plugin", "the conversation of a request is found before an engine takes part: one engine shows it"],
  ],
  stream: [
    ["our entries", "setup changes OpenClaw's files, and the engine takes no part in that"],
    ["through auto where channels are refused", "this test chooses the engine itself"],
  ],
};

const started = performance.now();
const { folder } = await installOpenClaw();
console.log(`OpenClaw: ${folder} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
const chosen = process.argv.slice(2);
const at = chosen.indexOf("--engine");
const [, engine] = at < 0 ? [] : chosen.splice(at, 2);
const files = [...new Bun.Glob("*.real.ts").scanSync(import.meta.dir)]
  .sort()
  .map((file) => join(import.meta.dir, file));

/** Shows each line with the engine's name, because two runs write at the same time. */
async function show(name: string, stream: ReadableStream<Uint8Array>): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) console.log(`${name} | ${line}`);
  }
  if (rest) console.log(`${name} | ${rest}`);
}

/** Runs the tests on one engine. @returns the exit code */
async function runTests(name: string): Promise<number> {
  const leftOut = (LEFT_OUT[name] ?? []).map(([test]) => test);
  const only = chosen.includes("-t") ? [] : ["-t", `^(?!.*(?:${leftOut.join("|")}))`];
  const tests = Bun.spawn([process.execPath, "test", "--timeout", "300000", ...only, ...files, ...chosen], {
    cwd: join(import.meta.dir, "../.."),
    env: { ...process.env, SYNTHESIS_TEST_OPENCLAW: folder, TEST_ENGINE: name },
    stdio: ["ignore", "pipe", "pipe"],
  });
  await Promise.all([show(name, tests.stdout), show(name, tests.stderr)]);
  return tests.exited;
}

const codes = await Promise.all((engine ? [engine] : Object.keys(LEFT_OUT)).map(runTests));
console.log(`the run took ${((performance.now() - started) / 1000).toFixed(0)} s`);
process.exit(Math.max(...codes));
