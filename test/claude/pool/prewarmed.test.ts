import { describe, expect, test } from "bun:test";
import type { Engine } from "../../../src/claude/agent-process.ts";
import type { LaunchChoice } from "../../../src/claude/launch-spec.ts";
import { PrewarmedProcesses, type PrewarmSpec } from "../../../src/claude/pool/prewarmed.ts";
import { pathsFor } from "../../../src/config/paths.ts";
import { defaults } from "../../../src/config/schema.ts";
import { catalogueOf, launchSpec, offeredTool } from "../launch-spec.ts";

const config = { ...defaults(pathsFor("/nowhere")), spares: 2 };
const specOf = (choice: Partial<LaunchChoice> = {}, tools: string[] = [], trusted = true): PrewarmSpec =>
  launchSpec({ choice, tools: catalogueOf(...tools), trusted });
const processOf = (spec: PrewarmSpec, isUsable = true, engine: Engine = "interactive") => ({ spec, isUsable, engine });
const prewarmedWith = (...processes: ReturnType<typeof processOf>[]) => {
  const engine = processes[0]?.engine ?? "interactive";
  const prewarmed = new PrewarmedProcesses<ReturnType<typeof processOf>>(config, () => engine);
  for (const process of processes) prewarmed.add(process);
  return prewarmed;
};

describe("take", () => {
  test.each([
    ["gives a process with the same options", specOf(), specOf(), true],
    ["refuses a process with another model", specOf({ model: "opus" }), specOf(), false],
    ["refuses a process with another effort", specOf(), specOf({ effort: "low" }), false],
    ["refuses a process in another workspace", specOf({ workspace: "/x" }), specOf(), false],
    [
      "refuses a process with another system prompt",
      specOf({ systemPrompt: "a" }),
      specOf({ systemPrompt: "b" }),
      false,
    ],
    ["refuses a trusted folder for a request that must not trust it", specOf(), specOf({}, [], false), false],
    ["gives a process that was offered fewer tools", specOf({}, ["a"]), specOf({}, ["a", "b"]), true],
    ["refuses a process that was offered a tool too many", specOf({}, ["a", "b"]), specOf({}, ["a"]), false],
    ["refuses a process for one-shots", specOf({ isIsolated: true }), specOf(), false],
  ])("%s", (_name, spec, wanted, isTaken) => {
    const process = processOf(spec);

    expect(prewarmedWith(process).take(wanted)).toBe(isTaken ? process : null);
  });

  test.each([
    ["another model", { model: "opus" }, true],
    ["another effort", { effort: "low" }, true],
    ["another system prompt", { systemPrompt: "Be brief." }, true],
    ["another workspace", { workspace: "/x" }, false],
    ["no tools of Claude's own", { isIsolated: true }, false],
  ] as const)("over stream-json, gives a process for a conversation with %s", (_, wanted, isTaken) => {
    const process = processOf(specOf({}, ["a"]), true, "stream");

    expect(prewarmedWith(process).take(specOf(wanted, ["b"]))).toBe(isTaken ? process : null);
    expect(prewarmedWith(process).take(specOf(wanted, [], false))).toBeNull();
  });

  test("refuses a process with a different tool of the same name", () => {
    const wanted = { ...specOf(), tools: new Map([["a", offeredTool("a", "does something else")]]) };

    expect(prewarmedWith(processOf(specOf({}, ["a"]))).take(wanted)).toBeNull();
  });

  test("refuses a process whose plugin is not connected", () => {
    expect(prewarmedWith(processOf(specOf(), false)).take(specOf())).toBeNull();
  });

  test("refuses a process that was started with another engine than one would be now, and plans to stop it", () => {
    let engine: Engine = "interactive";
    const prewarmed = new PrewarmedProcesses<ReturnType<typeof processOf>>(config, () => engine);
    prewarmed.add(processOf(specOf()));
    engine = "stream";
    prewarmed.noteStarted(specOf());

    expect(prewarmed.take(specOf())).toBeNull();
    expect(prewarmed.plan().surplus).toHaveLength(1);
  });

  test("gives a process only once", () => {
    const prewarmed = prewarmedWith(processOf(specOf()));

    expect(prewarmed.take(specOf())).not.toBeNull();
    expect(prewarmed.take(specOf())).toBeNull();
  });
});

describe("plan", () => {
  const [a, b, c] = [specOf({ model: "a" }), specOf({ model: "b" }), specOf({ model: "c" })];

  test("starts nothing before the first conversation", () => {
    expect(prewarmedWith().plan()).toEqual({ missing: null, surplus: [] });
  });

  test.each([
    ["starts a process like the newest conversation's", [a, b], [], b, []],
    ["starts one like the second newest if the newest has one", [a, b], [b], a, []],
    ["starts two alike if the two newest conversations are alike", [a, a], [a], a, []],
    ["starts nothing if there are enough", [a, b], [a, b], null, []],
    ["gives up a process that is like none of the newest conversations", [a, b, c], [a, b], c, [a]],
    ["gives up one of two that are alike if one is enough", [a, b], [a, a], b, [a]],
  ])("%s", (_name, started, existing, missing, surplus) => {
    const prewarmed = prewarmedWith(...existing.map((spec) => processOf(spec)));
    for (const spec of started) prewarmed.noteStarted(spec);

    const plan = prewarmed.plan();
    expect([plan.missing, plan.surplus.map(({ spec }) => spec)]).toEqual([missing, surplus]);
  });

  test("over stream-json, starts one process for two conversations in one workspace at a time", () => {
    const one = processOf(a, true, "stream");
    const prewarmed = prewarmedWith(one);
    prewarmed.noteStarted(b);
    expect(prewarmed.plan()).toEqual({ missing: null, surplus: [] });
    prewarmed.forget(one);
    prewarmed.delete(one);
    expect(prewarmed.plan()).toEqual({ missing: null, surplus: [] });
  });

  test("leaves out what could not be started, until a conversation has started one", () => {
    const prewarmed = prewarmedWith();
    prewarmed.noteStarted(a);
    prewarmed.drop(a);
    expect(prewarmed.plan().missing).toBeNull();

    prewarmed.noteStarted(a);
    expect(prewarmed.plan().missing).toBe(a);
  });
});
