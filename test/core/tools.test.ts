/** Calls of the client's tools, on their way from Claude to the client. */
import { describe, expect, test } from "bun:test";
import { argumentsFor, clientCallId, type OfferedTool, plainId } from "../../src/core/tools.ts";

const tool = (isWrapped: boolean): OfferedTool => ({
  name: "t",
  definition: { name: "t", description: "", inputSchema: { type: "object" } },
  isWrapped,
});

describe("arguments", () => {
  test("go through as they are for a schema that was not wrapped", () => {
    expect(argumentsFor(tool(false), { input: [1] })).toBe('{"input":[1]}');
  });

  test("are unwrapped for a schema that was", () => {
    expect(argumentsFor(tool(true), { input: [1] })).toBe("[1]");
  });

  test("go through as they are when Claude did not keep to the wrapped schema", () => {
    expect(argumentsFor(tool(true), { other: 1 })).toBe('{"other":1}');
  });
});

test("a call's id has only letters and digits, and is another one in another turn", () => {
  const id = clientCallId("turn", "toolu_1");
  expect(id).toMatch(/^call[0-9a-f]{32}$/);
  expect(clientCallId("turn", "toolu_1")).toBe(id);
  expect(clientCallId("another turn", "toolu_1")).not.toBe(id);
  expect(clientCallId("turn", "toolu_2")).not.toBe(id);
});

test("ids are compared without the characters that a client drops", () => {
  expect(plainId("call_01-Ab9")).toBe("call01Ab9");
});
