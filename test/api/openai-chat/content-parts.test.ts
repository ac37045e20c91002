/** Classifying the parts of a message's content. `attachments.test.ts` has files and images by their bytes. */
import { describe, expect, test } from "bun:test";
import {
  type MessagePart,
  readPart,
  readParts,
  refuseUnsupportedParts,
  unsupportedTypes,
} from "../../../src/api/openai-chat/content-parts.ts";
import { user } from "../../support/openclaw.ts";

const DATA = "data:image/png;base64,iVBORw0KGgo=";

describe("a part is", () => {
  const cases: [what: string, part: { type: string }, expected: Partial<MessagePart>][] = [
    ["a text", { type: "text", text: "a" } as never, { kind: "text", text: "a" }],
    ["a text of the Responses API", { type: "input_text", text: "a" } as never, { kind: "text", text: "a" }],
    ["unsupported, as a text part without text", { type: "text" }, { kind: "unsupported", type: "text", param: "p" }],
    ["an image", { type: "image_url", image_url: { url: DATA } } as never, { kind: "image", param: "p.image_url.url" }],
    ["an image of the Responses API", { type: "input_image", image_url: DATA } as never, { kind: "image", url: DATA }],
    ["unsupported, as an image without a URL", { type: "image_url" }, { kind: "unsupported" }],
    ["a file", { type: "file", file: { file_data: "eA==" } } as never, { kind: "file", param: "p.file.file_data" }],
    ["unsupported, as a file by its id", { type: "file", file: { file_id: "x" } } as never, { kind: "unsupported" }],
    ["unsupported, of any other type", { type: "input_audio" }, { kind: "unsupported", type: "input_audio" }],
  ];
  test.each(cases)("%s", (_what, part, expected) => {
    expect(readPart(part, "p")).toMatchObject(expected);
  });
});

test("a string is one text, and no content has no parts", () => {
  expect(readParts(user("hello"), 0)).toEqual([{ kind: "text", text: "hello" }]);
  expect(readParts(user(null), 0)).toEqual([]);
});

test("the first unsupported part is refused, with its path", () => {
  const parts = readParts(user([{ type: "text", text: "a" }, { type: "input_audio" }, { type: "video" }]), 3);
  expect(unsupportedTypes(parts)).toEqual(["input_audio", "video"]);
  expect(() => refuseUnsupportedParts(parts)).toThrow(
    expect.objectContaining({ code: "invalid_request", param: "messages[3].content[1]" }),
  );
});
