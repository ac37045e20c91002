/** The steps of a setup and of its removal, with an OpenClaw that only records how it is called. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { readAllowedRoots } from "../../src/setup/allowed-roots.ts";
import { MODEL_REF, type OpenClawConfig } from "../../src/setup/openclaw-config.ts";
import { readRecord } from "../../src/setup/openclaw-record.ts";
import { type Situation, type Step, stepsToAdd, stepsToRemove } from "../../src/setup/openclaw-steps.ts";

let folder: string;
/** The arguments of each call of OpenClaw, and what it got on stdin. */
let calls: { args: string; input: unknown }[];
let rootChanges: object[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  mkdirSync(join(folder, "state"));
  calls = [];
  rootChanges = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function situation(config: OpenClawConfig, isPlainJson = true): Situation {
  const paths = pathsFor(join(folder, "state"));
  return {
    openclaw: {
      path: "/usr/bin/openclaw",
      run: async (args, input) => {
        calls.push({ args: args.join(" "), input: input === undefined ? undefined : JSON.parse(input) });
        return "";
      },
    },
    configFile: "/openclaw.json",
    onDisk: { config, files: ["/openclaw.json"], isPlainJson },
    agents: [{ id: "main", workspace: "/agents/main" }],
    paths,
    config: defaults(paths),
    changeRoots: async (change) => {
      rootChanges.push(change);
    },
  };
}

const wanted = {
  baseUrl: "http://127.0.0.1:9/v1",
  key: "sk-synthesis-0123456789",
  isElsewhere: false,
  asDefault: true,
  program: null,
};

async function carryOut(steps: readonly Step[]): Promise<void> {
  for (const step of steps) await step.carryOut();
}

test("a setup adds the provider, the plugin and the workspaces, and records what it changes", async () => {
  const before = situation({ agents: { defaults: { model: "other/model" } } });
  const { paths } = before;
  const steps = stepsToAdd(before, wanted);
  expect(steps.map(({ where, lines }) => [where, lines.length])).toEqual([
    ["/openclaw.json", 2],
    ["/openclaw.json", 1],
    [paths.configFile, 1],
    [paths.openClawRecord, 0],
  ]);
  await carryOut(steps);
  expect(calls.map(({ args }) => args)).toEqual([
    "config patch --stdin",
    "config patch --stdin",
    `plugins install --link ${paths.openClawPlugin} --force --accept-capabilities`,
  ]);
  expect(calls[1]?.input).toEqual({ agents: { defaults: { model: MODEL_REF } } });
  expect(readdirSync(paths.openClawPlugin)).toHaveLength(3);
  expect(readAllowedRoots(paths.configFile)).toEqual([paths.workspace, "/agents/main"]);
  expect(rootChanges).toEqual([{ add: ["/agents/main"] }]);
  expect(readRecord(paths)).toEqual({
    program: null,
    baseUrl: null,
    formerModel: "other/model",
    addedRoots: ["/agents/main"],
    hadRoots: false,
  });
  expect(statSync(paths.openClawRecord).mode & 0o777).toBe(0o600);
});

test("the key is passed on stdin, and in no argument and no line", async () => {
  const steps = stepsToAdd(situation({}), wanted);
  await carryOut(steps);
  expect(JSON.stringify(calls[0]?.input)).toContain(wanted.key);
  expect(JSON.stringify([calls.map(({ args }) => args), steps.map(({ lines }) => lines)])).not.toContain(wanted.key);
});

test("a removal undoes what the record says, and deletes it", async () => {
  await carryOut(stepsToAdd(situation({ agents: { defaults: { model: "other/model" } } }), wanted));
  const { paths } = situation({});
  const after = situation({
    agents: { defaults: { model: MODEL_REF } },
    plugins: { load: { paths: [paths.openClawPlugin] } },
  });
  calls = [];
  await carryOut(stepsToRemove(after));
  expect(calls.map(({ args }) => args)).toEqual([
    "plugins uninstall synthesis --force",
    "config patch --stdin",
    "config patch --stdin",
  ]);
  expect(calls.at(-1)?.input).toEqual({ agents: { defaults: { model: "other/model" } } });
  expect(readAllowedRoots(paths.configFile)).toBeNull();
  expect([existsSync(paths.openClawPlugin), existsSync(paths.openClawRecord)]).toEqual([false, false]);
});

test("a removal without a setup has no steps", () => {
  expect(stepsToRemove(situation({ agents: { defaults: { model: "other/model" } } }))).toEqual([]);
});

test("a step that makes OpenClaw drop comments comes with a warning", () => {
  const [warning] = stepsToAdd(situation({}, false), wanted);
  expect(warning).toMatchObject({ where: "/openclaw.json", lines: [expect.stringMatching(/^! .*comments/)] });
});
