/** What OpenClaw receives of an answer that ends with an error, after its stream has begun. */
import { expect, test } from "bun:test";
import { type ErrorCode, RequestError } from "../../src/core/errors.ts";
import type { ResponsePart } from "../../src/core/response-part.ts";
import { errorsAsText } from "../../src/http/errors-as-text.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";

const TEXT: ResponsePart = { type: "text", text: "It begins" };
const PROGRESS: ResponsePart = { type: "progress", text: "Reads a file\n" };

/** Whether the error is sent as such. @param before what of the answer came before it */
async function isError(code: ErrorCode, before: readonly ResponsePart[], hasRunTools = false): Promise<boolean> {
  const response = new ResponseStream();
  response.isSent = true;
  response.hasRunTools = hasRunTools;
  for (const part of before) response.push(part);
  response.fail(new RequestError(code, "It failed."));
  const parts = (await Array.fromAsync(errorsAsText(response))).flat();
  return parts.some(({ type }) => type === "error");
}

test.each<ErrorCode>(["usage_limit_reached", "rate_limited", "overloaded", "claude_not_logged_in"])(
  "%s stays an error until Claude has written something or used a tool",
  async (code) => {
    expect(await isError(code, [])).toBe(true);
    expect(await Promise.all([isError(code, [TEXT]), isError(code, [PROGRESS]), isError(code, [], true)])).toEqual([
      false,
      false,
      false,
    ]);
  },
);

test("any other error is text", async () => {
  expect(await isError("claude_failed", [])).toBe(false);
});
