/** Decoding attachments: which formats are recognised, what files are called, and what is refused. */
import { describe, expect, test } from "bun:test";
import { checkFileCount, checkImageCount, decodeFile, decodeImage } from "../../../src/api/openai-chat/attachments.ts";
import { filesIn, imagesIn, readParts, refuseUnsupportedParts } from "../../../src/api/openai-chat/content-parts.ts";
import { type ChatMessage, chatRequest } from "../../../src/api/openai-chat/request.ts";

const PDF = "%PDF-1.7\n%âãÏÓ\n1 0 obj";
const PNG = "iVBORw0KGgoAAAANSUhEUg==";
const base64 = (text: string, encoding: "utf8" | "latin1" = "utf8") => Buffer.from(text, encoding).toString("base64");
const partsOf = (...content: object[]) => {
  const [message] = chatRequest.parse({ messages: [{ role: "user", content }] }).messages;
  return readParts(message as ChatMessage, 0);
};
const file = (file_data: unknown, filename?: unknown) => ({ type: "file", file: { file_data, filename } });
const image = (url: string) => ({ type: "image_url", image_url: { url } });
const dataUrl = (type: string, data: string) => `data:${type};base64,${data}`;

describe("recognises", () => {
  const cases: [what: string, part: object, kind: string, extension: string, name: string][] = [
    ["a PDF", file(dataUrl("application/pdf", base64(PDF)), "report.pdf"), "pdf", "pdf", "report.pdf"],
    ["a PDF that is declared as text", file(dataUrl("text/plain", base64(PDF)), "a.txt"), "pdf", "pdf", "a.txt"],
    ["a PDF without a name", file(base64(PDF)), "pdf", "pdf", "file.pdf"],
    ["text", file(dataUrl("text/plain", base64("hello")), "notes"), "text", "txt", "notes"],
    ["text with a charset", file(dataUrl("text/plain;charset=utf-8", base64("é"))), "text", "txt", "file.txt"],
    ["Markdown by its declared type", file(dataUrl("text/markdown", base64("# a"))), "text", "md", "file.md"],
    ["JSON by its declared type", file(dataUrl("application/json", base64("{}"))), "text", "json", "file.json"],
    ["a table by its name", file(base64("a,b"), "t.CSV"), "text", "csv", "t.CSV"],
    [
      "source code by its name",
      file(dataUrl("application/octet-stream", base64("x = 1")), "a.py"),
      "text",
      "py",
      "a.py",
    ],
    ["text whose name is an image's", file(base64("no image"), "a.png"), "text", "txt", "a.png"],
    ["an empty text", file("data:text/plain;base64,", "a.log"), "text", "log", "a.log"],
    [
      "a file part of the Responses API",
      { type: "input_file", file_data: base64("x"), filename: "a.ts" },
      "text",
      "ts",
      "a.ts",
    ],
    ["a file whose name is a path", file(base64("x"), "../../etc/cron.d/x.sh"), "text", "sh", "x.sh"],
    ["a file whose name is a Windows path", file(base64("x"), "C:\\Users\\me\\ä.txt"), "text", "txt", "ä.txt"],
    ["a file whose name could end a tag", file(base64("x"), 'a"><b>&\n.txt'), "text", "txt", "a___b___.txt"],
    ["a file whose name is only dots", file(base64("x"), "../.."), "text", "txt", "file.txt"],
    ["a file whose name is a number", file(base64("x"), 7), "text", "txt", "file.txt"],
  ];
  test.each(cases)("%s", (_what, part, kind, extension, name) => {
    const parts = partsOf({ type: "text", text: "x" }, part);
    const files = filesIn(parts);
    expect(files.map(decodeFile)).toMatchObject([{ kind, extension, name }]);
    expect(files[0]?.param).toMatch(/^messages\[0\]\.content\[1\]\.(file\.)?file_data$/);
    expect(() => refuseUnsupportedParts(parts)).not.toThrow();
  });

  test("an image in a file part, as an image", () => {
    for (const data of [PNG, dataUrl("image/png", PNG), dataUrl("application/pdf", PNG)]) {
      const parts = partsOf(file(data, "a.png"));
      expect(filesIn(parts)).toEqual([]);
      const images = imagesIn(parts);
      expect(images).toMatchObject([{ param: "messages[0].content[0].file.file_data" }]);
      expect(images.map(decodeImage)).toMatchObject([{ extension: "png", mimeType: "image/png" }]);
    }
  });

  test("the format of an image by its bytes, not by its declared type", () => {
    expect(imagesIn(partsOf(image(dataUrl("image/jpeg", PNG)))).map(decodeImage)).toMatchObject([
      { extension: "png", mimeType: "image/png" },
    ]);
  });
});

describe("refuses", () => {
  const cases: [what: string, part: object, param: string][] = [
    ["a file by an id", { type: "file", file: { file_id: "file-1" } }, "messages[0].content[0]"],
    ["a file by an id of the Responses API", { type: "input_file", file_id: "file-1" }, "messages[0].content[0]"],
    ["a file by a URL", { type: "input_file", file_url: "https://x/a.pdf" }, "messages[0].content[0]"],
    ["a URL in the place of a file's data", file("https://x/a.pdf"), "messages[0].content[0]"],
    ["a path in the place of a file's data", file("file:///etc/passwd"), "messages[0].content[0]"],
    ["a data: URL that is not base64", file("data:text/plain,hello"), "messages[0].content[0]"],
    ["a file part without data", { type: "file" }, "messages[0].content[0]"],
    ["invalid base64", file("data:text/plain;base64,%%%"), "messages[0].content[0].file.file_data"],
    ["a zip archive", file(base64("PK\x03\x04\x00\x00", "latin1"), "a.docx"), "messages[0].content[0].file.file_data"],
    [
      "text in another encoding than UTF-8",
      file(base64("caf\xe9", "latin1"), "a.txt"),
      "messages[0].content[0].file.file_data",
    ],
    [
      "a file of more than 10 MB",
      file(base64("x".repeat(10 * 1024 * 1024 + 1))),
      "messages[0].content[0].file.file_data",
    ],
    ["an image that must be fetched", image("https://x/a.png"), "messages[0].content[0].image_url.url"],
    ["an image in an unknown format", image(dataUrl("image/png", "AAAA")), "messages[0].content[0].image_url.url"],
    ["an image without base64", image("data:image/svg+xml,x"), "messages[0].content[0].image_url.url"],
  ];
  test.each(cases)("%s", (_what, part, param) => {
    const parts = partsOf(part);
    const read = () => {
      refuseUnsupportedParts(parts);
      imagesIn(parts).map(decodeImage);
      filesIn(parts).map(decodeFile);
    };
    expect(read).toThrow(expect.objectContaining({ code: "invalid_request", param }));
  });

  test("the 21st file and the 21st image", () => {
    const files = filesIn(partsOf(...Array.from({ length: 21 }, () => file(base64("x")))));
    expect(() => checkFileCount(files.slice(1))).not.toThrow();
    expect(() => checkFileCount(files)).toThrow(
      expect.objectContaining({ param: "messages[0].content[20].file.file_data" }),
    );
    const images = imagesIn(partsOf(...Array.from({ length: 21 }, () => image(dataUrl("image/png", PNG)))));
    expect(() => checkImageCount(images.slice(1))).not.toThrow();
    expect(() => checkImageCount(images)).toThrow(
      expect.objectContaining({ param: "messages[0].content[20].image_url.url" }),
    );
  });
});
