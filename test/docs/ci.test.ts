import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { PLUGIN_PACKAGE, packageOf, TARGETS } from "../../deploy/release/targets.ts";
import { name, repository, scripts } from "../../package.json";

const root = join(import.meta.dir, "../..");
const step = z.looseObject({ uses: z.string().optional(), run: z.string().optional() });
const workflow = z.looseObject({
  name: z.string(),
  on: z.record(z.string(), z.unknown()),
  jobs: z.record(
    z.string(),
    z.looseObject({
      "runs-on": z.string(),
      steps: z.array(step),
      strategy: z
        .looseObject({ matrix: z.looseObject({ include: z.array(z.record(z.string(), z.string())) }) })
        .optional(),
    }),
  ),
});
const read = (file: string) =>
  workflow.parse(Bun.YAML.parse(readFileSync(join(root, ".github/workflows", file), "utf8")));
const parsed = read("ci.yml");
const commands = Object.values(parsed.jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
const localCommands = readFileSync(join(root, ".ci/run"), "utf8").match(/npx -y bun@\S+ run \S+/g) ?? [];

test("CI runs on Linux and on macOS", () => {
  expect(Object.values(parsed.jobs).map((job) => job["runs-on"])).toEqual(["ubuntu-latest", "macos-latest"]);
});

test("each command of CI installs system packages or is a script of package.json", () => {
  expect(commands).toContain(".ci/install");
  for (const command of commands.filter((one) => one !== ".ci/install")) {
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

test("a release starts each program whose system CI of a change does not have, before it publishes", () => {
  const { on, jobs } = read("release.yml");
  expect(on).toEqual({ push: { tags: ["v*"] } });
  const tried = Object.values(jobs).flatMap(
    ({ strategy }) => strategy?.matrix.include.map(({ target }) => target) ?? [],
  );
  const tested = ["linux-x64"];
  expect([...tried, ...tested].sort()).toEqual(TARGETS.map(({ id }) => id).sort());
  expect(jobs.publish).toMatchObject({ needs: ["try", "try-musl"] });
});

test("the documents name the packages and their address as the code does", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  expect(readme).toContain(`npx -y ${name}`);
  const guide = readFileSync(join(root, "docs/guide.md"), "utf8");
  expect(guide).toContain(`npm install -g ${name}`);
  expect(guide).toContain(`${repository}/releases/latest/download/install.sh`);
  for (const one of [name, PLUGIN_PACKAGE, packageOf({ id: "linux-x64" })]) expect(guide).toContain(`\`${one}\``);
});
