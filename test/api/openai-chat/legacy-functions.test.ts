/** Requests of the API before `tools`. */
import { expect, test } from "bun:test";
import { functionsAsTools, usesFunctions } from "../../../src/api/openai-chat/legacy-functions.ts";
import { chatRequest } from "../../../src/api/openai-chat/request.ts";

const request = (more: object) => chatRequest.parse({ messages: [{ role: "user", content: "x" }], ...more });
const look = { name: "look" };

test("reads functions as tools that are called one at a time", () => {
  expect(functionsAsTools(request({ functions: [look] }))).toMatchObject({
    tools: [{ type: "function", function: look }],
    parallel_tool_calls: false,
  });
});

test("reads a named function_call as a tool_choice", () => {
  const { tool_choice } = functionsAsTools(request({ functions: [look], function_call: look }));
  expect(tool_choice).toEqual({ type: "function", function: look });
  expect(functionsAsTools(request({ functions: [look], function_call: "none" })).tool_choice).toBe("none");
});

test("ignores functions when there are tools", () => {
  const both = request({ functions: [look], tools: [{ type: "function", function: { name: "other" } }] });
  expect(usesFunctions(both)).toBe(false);
  expect(functionsAsTools(both)).toBe(both);
});
