import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { scripts } from "../../package.json";

const root = join(import.meta.dir, "../..");
const step = z.looseObject({ uses: z.string().optional(), run: z.string().optional() });
const workflow = z.looseObject({
  name: z.string(),
  on: z.record(z.string(), z.unknown()),
  jobs: z.record(z.string(), z.looseObject({ "runs-on": z.string(), steps: z.array(step) })),
});
const parsed = workflow.parse(Bun.YAML.parse(readFileSync(join(root, ".github/workflows/ci.yml"), "utf8")));
const commands = Object.values(parsed.jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
const localCommands = readFileSync(join(root, ".ci/run"), "utf8").match(/npx -y bun@\S+ run \S+/g) ?? [];

test("CI runs on Linux and on macOS", () => {
  expect(Object.values(parsed.jobs).map((job) => job["runs-on"])).toEqual(["ubuntu-latest", "macos-latest"]);
});

test("each command of CI is a script of package.json", () => {
  for (const command of commands) {
    const [, script = ""] = /^npx -y bun@[\d.]+ run (\S+)/.exec(command) ?? [];
    expect(Object.keys(scripts), command).toContain(script);
  }
});

test("CI on Linux runs everything that .ci/run runs, with the same Bun", () => {
  expect(localCommands.length).toBeGreaterThan(0);
  for (const command of localCommands) {
    expect(
      commands.some((one) => one === command || one.startsWith(`${command} `)),
      command,
    ).toBeTrue();
  }
});
