/** What a turn has used. */
import { describe, expect, test } from "bun:test";
import { completeUsage, interruptedUsage } from "../../src/claude/token-usage.ts";

describe("the usage of a turn", () => {
  const used = (model: string, input: number, output: number, cost: number | null, calls = 1) => ({
    model,
    calls,
    input,
    cacheRead: 0,
    cacheWrite: 0,
    output,
    cost,
  });

  test("has what only the record or only the figures of the process have", () => {
    const recorded = [used("opus", 100, 5, null, 2)];
    const figures = [used("haiku", 30, 3, 0.25, 0), used("opus", 90, 8, 0.5, 0), used("sonnet", 0, 0, 0, 0)];
    expect(completeUsage(recorded, figures)).toEqual([used("opus", 100, 8, 0.5, 2), used("haiku", 30, 3, 0.25, 0)]);
  });

  test("is what is recorded when the process has no figures, or names the models otherwise", () => {
    const recorded = [used("opus", 100, 5, null)];
    expect(completeUsage(recorded, null)).toEqual(recorded);
    expect(completeUsage(recorded, [used("opus[1m]", 100, 5, 0.5, 0)])).toEqual(recorded);
  });

  test("that was stopped is what the record has, with the cost and the other models of the figures", () => {
    const recorded = [used("opus", 100, 5, null, 2)];
    const figures = [used("haiku", 30, 3, 0.25, 0), used("opus", 100, 8, 0.5, 0)];
    expect(interruptedUsage(recorded, figures)).toEqual([used("opus", 100, 5, 0.5, 2), used("haiku", 30, 3, 0.25, 0)]);
    expect(interruptedUsage(recorded, [])).toEqual(recorded);
    // The same tokens under another name are not counted twice.
    expect(interruptedUsage(recorded, [used("opus[1m]", 100, 5, 0.5, 0)])).toEqual(recorded);
  });
});
