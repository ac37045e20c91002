/** What the JSON gate rejects and what it accepts, in chunks of any size. */
import { describe, expect, test } from "bun:test";
import { JsonGate, JsonRejected, parseJson } from "../../src/core/json-gate.ts";

const list = (count: number, item: (index: number) => string) =>
  Array.from({ length: count }, (_, at) => item(at)).join();
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

/** Why the gate rejects a text that arrives in chunks; null if it accepts the text. */
function rejectionOf(text: string, chunkBytes: number): string | null {
  const gate = new JsonGate();
  const bytes = Buffer.from(text);
  try {
    for (let at = 0; at < bytes.length; at += chunkBytes) gate.write(bytes.subarray(at, at + chunkBytes));
    return null;
  } catch (error) {
    if (error instanceof JsonRejected) return error.message;
    throw error;
  }
}

const hostile: [what: string, text: string, bound: RegExp][] = [
  ["an array that is nested one level too deep", nested(101), /100 levels/],
  ["40 000 open arrays", "[".repeat(40_000), /100 levels/],
  ["objects that are nested too deep", `${'{"a":'.repeat(101)}1${"}".repeat(101)}`, /100 levels/],
  ["arrays and objects that are nested too deep", `${'[{"a":'.repeat(51)}1${"}]".repeat(51)}`, /100 levels/],
  ["deep nesting after a string with brackets and quotes", `["]]]}}\\"",${nested(100)}]`, /100 levels/],
  ["deep nesting after an escaped backslash", `["\\\\",${nested(100)}]`, /100 levels/],
  ["too many numbers", `[${list(200_000, () => "1")}]`, /200000 values/],
  ["too many empty objects", `[${list(200_000, () => "{}")}]`, /200000 values/],
  ["too many strings", `[${list(200_000, () => '""')}]`, /200000 values/],
  ["too many literals", `[${list(200_000, () => "null")}]`, /200000 values/],
  ["too many duplicate fields", `{${list(200_000, () => '"a":1')}}`, /200000 values/],
  ["too many names in one object", `{${list(20_001, (at) => `"k${at}":1`)}}`, /20000 different field names/],
  ["too many names over all objects", `[${list(20_001, (at) => `{"k${at}":1}`)}]`, /20000 different field names/],
  ["too many numeric names", `[${list(20_001, (at) => `{"${at % 100}":1}`)}]`, /20000 different field names/],
  ["too many numeric names with escapes", `[${list(20_001, () => `{"\\u0031":1}`)}]`, /20000 different field names/],
  ["a long name", `{"${"k".repeat(1_001)}":1}`, /field name of more than 1000 bytes/],
  ["a long name of characters with several bytes", `{"${"中".repeat(400)}":1}`, /field name of more than 1000 bytes/],
  ["a number with many digits", `[${"1".repeat(101)}]`, /number of more than 100 characters/],
  ["a number with many decimal places", `{"a":-0.${"1".repeat(101)}e5}`, /number of more than 100 characters/],
  ["a number with a million digits and no end", "9".repeat(1_000_000), /number of more than 100 characters/],
  ["a long string", `["${"x".repeat(20 * 1024 * 1024 + 1)}"]`, /string of more than 20971520 bytes/],
  ["many escapes", `["${"\\n".repeat(2_000_001)}"]`, /2000000 escaped characters/],
  ["many escaped surrogates", `["${"\\ud800".repeat(2_000_001)}"]`, /2000000 escaped characters/],
];

describe.each(hostile)("%s", (_what, text, bound) => {
  // Chunks of one byte would take too long for a large text.
  const sizes = text.length < 3_000_000 ? [1, 7, 4_096, text.length * 3] : [65_536, text.length * 3];
  test.each(sizes)("is rejected in chunks of %d bytes with the name of the bound", (chunkBytes) => {
    expect(rejectionOf(text, chunkBytes)).toMatch(bound);
  });
  test("is rejected before it is parsed", () => {
    expect(() => parseJson(text)).toThrow(JsonRejected);
  });
});

const harmless: [what: string, text: string][] = [
  ["exactly 100 levels", nested(100)],
  ["exactly 200 000 values", `[${list(199_999, () => "1")}]`],
  ["many arrays in one array", `[${list(99_000, () => "[1]")}]`],
  ["an image of 10 MB in base64", `{"url":"data:image/png;base64,${"A".repeat(14_000_000)}"}`],
  ["200 tools", JSON.stringify(Array.from({ length: 200 }, (_, at) => tool(at)))],
  ["brackets in a string", JSON.stringify(["[".repeat(5_000), '"[['.repeat(500), "\\".repeat(999)])],
  ["commas and braces in a name", `{"${"{[,:".repeat(200)}":{"a":1}}`],
  ["repeated names", `[${list(50_000, () => '{"role":"user","content":"a"}')}]`],
  ["characters of several bytes", JSON.stringify({ 'é"中\\': "😀".repeat(10_000), x: "\ud800" })],
  ["a scalar", "-12.5e3"],
  ["white space", ` \r\n\t[ 1 , { "a" : "b" } ]${" ".repeat(1_000_000)}`],
  ["escapes of every kind", '["\\"\\\\\\/\\b\\f\\n\\r\\t\\u0022\\u005c"]'],
];

function tool(at: number) {
  const properties = Object.fromEntries(
    Array.from({ length: 50 }, (_, field) => [`field_${field}`, { type: "string" }]),
  );
  return { type: "function", function: { name: `tool_${at}`, parameters: { type: "object", properties } } };
}

describe.each(harmless)("%s", (_what, text) => {
  test.each([1, 5, 4_096, text.length * 3])("passes in chunks of %d bytes", (chunkBytes) => {
    expect(rejectionOf(text, chunkBytes)).toBeNull();
  });
  test("is parsed as JSON.parse does", () => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });
});

test("invalid JSON passes the gate and fails in JSON.parse", () => {
  for (const text of ["", "{", "]]]]", '"', "[1,", "nul", '{"a":1}}', '["\\']) {
    expect(rejectionOf(text, 1)).toBeNull();
    expect(() => parseJson(text)).toThrow(SyntaxError);
  }
});

test("no error message quotes the text", () => {
  for (const [, text] of hostile) {
    try {
      parseJson(`{"secret words":${text}}`);
    } catch (error) {
      expect((error as Error).message).not.toContain("secret");
    }
  }
});
