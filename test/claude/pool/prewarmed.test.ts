/** Which claudes are booted ahead, and for whom one is good. */
import { describe, expect, test } from "bun:test";
import type { LaunchChoice } from "../../../src/claude/launch-spec.ts";
import { PrewarmedProcesses, type PrewarmSpec } from "../../../src/claude/pool/prewarmed.ts";
import { pathsFor } from "../../../src/config/paths.ts";
import { defaults } from "../../../src/config/schema.ts";

const config = { ...defaults(pathsFor("/nowhere")), spares: 2 };
const tool = (name: string, description = "") => ({
  name,
  definition: { name, description, inputSchema: { type: "object" } },
  isWrapped: false,
});
const spec = (choice: Partial<LaunchChoice> = {}, tools: string[] = [], trusted = true): PrewarmSpec => ({
  trusted,
  choice: { workspace: "/w", model: null, effort: null, systemPrompt: null, answersOnly: false, ...choice },
  tools: new Map(tools.map((name) => [name, tool(name)])),
});
const boot = (of: PrewarmSpec, isUsable = true) => ({ spec: of, isUsable });
const spares = (...some: ReturnType<typeof boot>[]) => {
  const all = new PrewarmedProcesses<ReturnType<typeof boot>>(config);
  for (const one of some) all.add(one);
  return all;
};

describe("a spare is taken", () => {
  test.each([
    ["that was started alike", spec(), spec(), true],
    ["that was started with another model", spec({ model: "opus" }), spec(), false],
    ["that was started with another effort", spec(), spec({ effort: "low" }), false],
    ["that works in another folder", spec({ workspace: "/x" }), spec(), false],
    ["that has read another system prompt", spec({ systemPrompt: "a" }), spec({ systemPrompt: "b" }), false],
    ["that may trust its folder when it should not", spec({}, [], true), spec({}, [], false), false],
    ["that offers fewer tools", spec({}, ["a"]), spec({}, ["a", "b"]), true],
    ["that offers a tool too many", spec({}, ["a", "b"]), spec({}, ["a"]), false],
    ["that answers only", spec({ answersOnly: true }), spec(), false],
  ])("%s", (_name, booted, wanted, taken) => {
    const spare = boot(booted);
    expect(spares(spare).take(wanted)).toBe(taken ? spare : null);
  });

  test("not with a tool of the same name that is another", () => {
    const other = { ...spec(), tools: new Map([["a", tool("a", "does something else")]]) };
    expect(spares(boot(spec({}, ["a"]))).take(other)).toBeNull();
  });

  test("not when it has lost its plugin", () => {
    expect(spares(boot(spec(), false)).take(spec())).toBeNull();
  });

  test("once", () => {
    const all = spares(boot(spec()));
    expect(all.take(spec())).not.toBeNull();
    expect(all.take(spec())).toBeNull();
  });
});

describe("what is booted next", () => {
  const [a, b, c] = [spec({ model: "a" }), spec({ model: "b" }), spec({ model: "c" })];

  test("nothing, before any conversation has begun", () => {
    expect(spares().plan()).toEqual({ missing: null, surplus: [] });
  });

  test.each([
    ["one like the conversation begun last", [a, b], [], b, []],
    ["one like the one before, when that one is there", [a, b], [b], a, []],
    ["two alike, when the last two were", [a, a], [a], a, []],
    ["none, when there are enough", [a, b], [a, b], null, []],
    ["instead of what nobody is expected for any more", [a, b, c], [a, b], c, [a]],
    ["with more alike than are wanted", [a, b], [a, a], b, [a]],
  ])("%s", (_name, begun, booted, missing, surplus) => {
    const all = spares(...booted.map((one) => boot(one)));
    for (const one of begun) all.noteStarted(one);
    const plan = all.plan();
    expect([plan.missing, plan.surplus.map((one) => one.spec)]).toEqual([missing, surplus]);
  });

  test("not one that could not be started, until a conversation has shown that it can", () => {
    const all = spares();
    all.noteStarted(a);
    all.forget(a);
    expect(all.plan().missing).toBeNull();
    all.noteStarted(a);
    expect(all.plan().missing).toBe(a);
  });
});
