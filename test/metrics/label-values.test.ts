import { expect, test } from "bun:test";
import { boundedLabel } from "../../src/metrics/label-values.ts";

test("a label has no more values than allowed, and `other`", () => {
  const label = boundedLabel(2);
  expect(["a", "b", "c", "a", "d"].map(label)).toEqual(["a", "b", "other", "a", "other"]);
});

test("a value that is no name is `other`", () => {
  const label = boundedLabel(10);
  for (const value of ["what is my password?", "a\nb", "", "x".repeat(65), "é", 'a"b'])
    expect(label(value)).toBe("other");
  for (const value of ["claude-opus-5[1m]", "main", "team/ops", "a:b"]) expect(label(value)).toBe(value);
});
