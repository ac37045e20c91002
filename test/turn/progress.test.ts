/** The lines that tell a client what Claude is doing. */
import { describe, expect, test } from "bun:test";
import { pathsFor } from "../../src/config/paths.ts";
import { type Config, defaults } from "../../src/config/schema.ts";
import { progressFormatter } from "../../src/turn/progress.ts";
import type { HookBody } from "../../src/wire/hooks.ts";

const formatter = (progress: Config["progress"], env = {}) =>
  progressFormatter({ ...defaults(pathsFor("/none")), progress }, env);
const common = { session_id: "s", transcript_path: "/t.jsonl", prompt_id: "p", tool_name: "Bash" };
const started: HookBody = {
  ...common,
  hook_event_name: "PreToolUse",
  tool_input: { command: "curl -H secret-key-123" },
};
const ended: HookBody = { ...common, hook_event_name: "PostToolUse", duration_ms: 1_234 };
const failed: HookBody = { ...common, hook_event_name: "PostToolUseFailure", duration_ms: 1_234 };
const clientTool: HookBody = { ...started, tool_name: "mcp__plugin_synthesis_chat__weather" };

describe("progress lines", () => {
  test("are off", () => {
    expect([started, ended, failed].map(formatter("off"))).toEqual([null, null, null]);
  });

  test("show the start and the failure of a tool use", () => {
    const lines = [started, ended, failed].map(formatter("brief"));
    expect(lines).toEqual([expect.stringContaining("curl"), null, "Bash: failed after 1.2 s\n"]);
  });

  test("also show its end in full", () => {
    expect(formatter("full")(ended)).toBe("Bash: done after 1.2 s\n");
  });

  test("leave out the client's own tools, which it receives as tool calls", () => {
    expect(formatter("full")(clientTool)).toBeNull();
  });

  test("hide secrets of the environment", () => {
    expect(formatter("full", { API_KEY: "secret-key-123" })(started)).not.toContain("secret-key-123");
  });

  test("leave out hooks that are about no tool", () => {
    expect(formatter("full")({ ...common, hook_event_name: "Stop" })).toBeNull();
  });
});
