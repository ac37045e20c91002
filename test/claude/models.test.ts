import { describe, expect, test } from "bun:test";
import { DEFAULT_MODEL, effortFor, MODELS, modelFor } from "../../src/claude/models.ts";

describe("modelFor", () => {
  test.each([[undefined], [null], [""], [DEFAULT_MODEL]])("selects Claude Code's default model for %p", (asked) => {
    expect(modelFor(asked)).toBeNull();
  });

  test.each(["opus", "sonnet[1m]", "claude-opus-5", "claude-sonnet-4-5-20250929[1m]"])("accepts %s", (asked) => {
    expect(modelFor(asked)).toBe(asked);
  });

  test.each(["gpt-5", "claude-opus 5", "claude-opus-5 --help", "Opus", "--model"])("refuses %j", (asked) => {
    expect(() => modelFor(asked)).toThrow(expect.objectContaining({ code: "model_not_found", param: "model" }));
  });

  test("accepts every model that is listed", () => {
    for (const model of MODELS) expect(() => modelFor(model)).not.toThrow();
  });
});

test.each([
  [undefined, null],
  [null, null],
  ["none", "low"],
  ["minimal", "low"],
  ["high", "high"],
  ["max", "max"],
] as const)("effortFor(%p) is %p", (asked, effort) => {
  expect(effortFor(asked)).toBe(effort);
});
