/** Bodies of valid chat requests, each of which keeps the server busy in another way. */

const MEGABYTE = 1024 * 1024;
const list = (count: number, item: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => item(index)).join(",");
const messages = (items: string, more = ""): string => `{"user":"worst","messages":[${items}]${more}}`;
const said = (content: string, more = ""): string => messages(`{"role":"user","content":${content}}`, more);
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
  "base64",
);
const image = (megabytes: number): string =>
  Buffer.concat([PNG, Buffer.alloc(megabytes * MEGABYTE - PNG.length)]).toString("base64");

/** The bodies by their content. */
export const worstBodies: Record<string, () => string> = {
  "white space": () => said(`"a"${" ".repeat(31 * MEGABYTE)}`),
  escapes: () => said(`"a"`, `,"metadata":[${list(2, () => `"${"\\n".repeat(990_000)}"`)}]`),
  "escaped text": () => messages(list(50, () => `{"role":"user","content":"${"\\u00e9".repeat(39_000)}"}`)),
  numbers: () => said(`"a"`, `,"metadata":[${list(199_000, () => "-1.2345678901234567e-300")}]`),
  "long numbers": () => said(`"a"`, `,"metadata":[${list(199_000, () => "1".repeat(99))}]`),
  "empty objects": () => said(`"a"`, `,"metadata":[${list(199_000, () => "{}")}]`),
  "deep objects": () => said(`"a"`, `,"metadata":[${list(2_000, () => `${'{"a":'.repeat(95)}1${"}".repeat(95)}`)}]`),
  "field names": () => said(`"a"`, `,"metadata":[${list(190, (at) => `{${list(100, (i) => `"k${at}_${i}":1`)}}`)}]`),
  "long field names": () => said(`"a"`, `,"metadata":{${list(19_000, (at) => `"${"k".repeat(900)}${at}":1`)}}`),
  "numbers as field names": () => said(`"a"`, `,"logit_bias":{${list(19_000, (at) => `"${at * 50_257}":1`)}}`),
  "the same names": () => said(`"a"`, `,"metadata":[${list(900, () => `{${list(200, (i) => `"k${i}":1`)}}`)}]`),
  "duplicate names": () => said(`"a"`, `,"metadata":{${list(199_000, () => `"k":1`)}}`),
  strings: () => said(`"a"`, `,"metadata":[${list(190_000, () => `"${"é".repeat(75)}"`)}]`),
  messages: () => messages(list(4_999, () => `{"role":"user","content":"a"}`)),
  exchanges: () =>
    messages(list(2_499, (at) => `{"role":"user","content":"a${at}"},{"role":"assistant","content":"b"}`)),
  "parts of text": () => said(`[${list(19_999, () => `{"type":"text","text":"a"}`)}]`),
  "invalid parts": () => said(`[${list(19_999, () => `{"type":1}`)}]`),
  "invalid messages": () => messages(list(4_999, () => "1")),
  tools: () =>
    said(
      `"a"`,
      `,"tools":[${list(1_999, (at) => `{"type":"function","function":{"name":"t${at}","description":"${"d".repeat(1_500)}"}}`)}]`,
    ),
  "tools with one spelling": () =>
    said(
      `"a"`,
      `,"tools":[${list(1_999, (at) => `{"type":"function","function":{"name":"${String.fromCodePoint(0x4e00 + at)}"}}`)}]`,
    ),
  "alternating marks": () => said(`"e${"\u0301\u0323".repeat(1_900_000)}"`),
  "alternating marks in short runs": () => said(`"${`e${"\u0301\u0323".repeat(15)}`.repeat(120_000)}"`),
  "a large schema": () =>
    said(
      `"a"`,
      `,"tools":[{"type":"function","function":{"name":"t","parameters":{"type":"object","properties":{${list(19_000, (at) => `"p${at}":{"type":"string"}`)}}}}}]`,
    ),
  "allowed tools": () =>
    said(
      `"a"`,
      `,"tools":[${list(1_999, (at) => `{"type":"function","function":{"name":"t${at}"}}`)}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[${list(1_999, (at) => `{"function":{"name":"u${at}"}}`)}]}}`,
    ),
  "calls and results": () =>
    messages(
      `{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[${list(9_900, (at) => `{"id":"c${at}","type":"function","function":{"name":"t","arguments":"{}"}}`)}]},${list(4_900, (at) => `{"role":"tool","tool_call_id":"c${at}","content":"r"}`)}`,
    ),
  "one text": () => said(`"${"word ".repeat(790_000)}"`),
  "one text of accents": () => said(`"${"e\u0301".repeat(1_990_000)}"`),
  "a text of white space": () => said(`"a${" ".repeat(3_900_000)}b"`),
  "a text of line ends": () => said(`"a${"\\r\\n".repeat(900_000)}b"`),
  "a long history": () =>
    messages(
      `${list(1_000, () => `{"role":"user","content":"${"e\u0301 ".repeat(640)}"},{"role":"assistant","content":"${"e\u0301 ".repeat(640)}"}`)},{"role":"user","content":"a"}`,
    ),
  "a system prompt": () =>
    messages(`{"role":"system","content":"${"a ".repeat(240_000)}"},{"role":"user","content":"a"}`),
  images: () =>
    said(`[${list(2, () => `{"type":"image_url","image_url":{"url":"data:image/png;base64,${image(10)}"}}`)}]`),
  "a broken image": () =>
    said(`[{"type":"image_url","image_url":{"url":"data:image/png;base64,${"A".repeat(19 * MEGABYTE)} !"}}]`),
  "an image of white space": () =>
    said(`[{"type":"image_url","image_url":{"url":"data:image/png;base64,${" ".repeat(19 * MEGABYTE)}"}}]`),
  files: () =>
    said(
      `[${list(2, () => `{"type":"file","file":{"filename":"a.txt","file_data":"${Buffer.from("é".repeat(5 * MEGABYTE)).toString("base64")}"}}`)}]`,
    ),
  "images in results": () =>
    messages(
      `{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"t","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":[${list(2, () => `{"type":"image_url","image_url":{"url":"data:image/png;base64,${image(10)}"}}`)}]}`,
    ),
};
