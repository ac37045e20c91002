/** The code fence around an answer that must be JSON. */
import { expect, test } from "bun:test";
import { unfenced } from "../../src/turn/code-fence.ts";

test("removes the code fence around an answer, and nothing else", () => {
  expect(unfenced('```json\n{"a": 1}\n```')).toBe('{"a": 1}');
  expect(unfenced(' ```\n{"a": 1}\n```\n')).toBe('{"a": 1}');
  expect(unfenced('{"a": "```"}')).toBe('{"a": "```"}');
});
