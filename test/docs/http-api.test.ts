import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_CODES, errorStatus } from "../../src/api/openai-chat/error-response.ts";
import { RequestError } from "../../src/core/errors.ts";

const page = readFileSync(join(import.meta.dir, "../../docs/http-api.md"), "utf8");

test("docs/http-api.md has each error code with its status, and no other", () => {
  const documented = [...page.matchAll(/^\| `(\w+)` \| (\d{3}) \|/gm)].map(([, code, status]) => [code, Number(status)]);

  const actual = ERROR_CODES.map((code) => [code, errorStatus(new RequestError(code, ""))]);
  expect(new Map(documented as [string, number][])).toEqual(new Map(actual as [string, number][]));
  expect(documented.length).toBe(actual.length);
});
