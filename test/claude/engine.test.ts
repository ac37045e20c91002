import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseEngine } from "../../src/claude/engine.ts";

const base = mkdtempSync(join(tmpdir(), "synthesis-engine-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const env = { HOME: base, PATH: "/bin" };
const open = { channelAllowed: false, channelsDisabled: false, hooksForbidden: false };
const auto = { engine: "auto" } as const;

test("uses the engine that the setting names, whatever else is there", () => {
  const off = { ...env, DISABLE_TELEMETRY: "1" };
  expect(chooseEngine({ engine: "interactive" }, base, open, off).engine).toBe("interactive");
  expect(chooseEngine({ engine: "stream" }, base, open, env).engine).toBe("stream");
});

describe("auto", () => {
  test("runs Claude Code in a terminal where channels work", () => {
    expect(chooseEngine(auto, base, open, env)).toEqual({ engine: "interactive", why: "channels work" });
  });

  test.each([
    "DISABLE_TELEMETRY",
    "DO_NOT_TRACK",
    "DISABLE_GROWTHBOOK",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
  ])("runs it over stream-json while %s is set", (name) => {
    const { engine, why } = chooseEngine(auto, base, open, { ...env, [name]: "1" });
    expect(engine).toBe("stream");
    expect(why).toContain(name);
    expect(chooseEngine(auto, base, open, { ...env, [name]: "" }).engine).toBe("interactive");
  });

  test.each([
    ["do not enable channels", { channelsDisabled: true }],
    ["forbid our hooks", { hooksForbidden: true }],
  ])("runs it over stream-json where managed settings %s", (why, managed) => {
    expect(chooseEngine(auto, base, { ...open, ...managed }, env)).toMatchObject({
      engine: "stream",
      why: `managed settings ${why}`,
    });
  });

  test("runs it over stream-json where a workspace's settings turn channels off", () => {
    const workspace = join(base, "workspace");
    mkdirSync(join(workspace, ".claude"), { recursive: true });
    writeFileSync(join(workspace, ".claude/settings.json"), JSON.stringify({ env: { DO_NOT_TRACK: "1" } }));
    expect(chooseEngine(auto, workspace, open, env).engine).toBe("stream");
    expect(chooseEngine(auto, base, open, env).engine).toBe("interactive");
  });

  test("runs it over stream-json after Claude Code has refused its channel", () => {
    expect(chooseEngine(auto, base, open, env, "it said no")).toMatchObject({
      engine: "stream",
      why: expect.stringContaining("it said no"),
    });
  });
});
