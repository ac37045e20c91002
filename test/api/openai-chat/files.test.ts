/** Files in content parts: what they are, what they are called, and what is refused. */
import { describe, expect, test } from "bun:test";
import { checkFiles, filesIn, readFiles } from "../../../src/api/openai-chat/files.ts";
import { imagesIn, refuseOtherParts } from "../../../src/api/openai-chat/images.ts";
import { type ChatMessage, chatRequest } from "../../../src/api/openai-chat/request.ts";

const PDF = "%PDF-1.7\n%âãÏÓ\n1 0 obj";
const base64 = (text: string, encoding: "utf8" | "latin1" = "utf8") => Buffer.from(text, encoding).toString("base64");
const message = (...content: object[]) =>
  chatRequest.parse({ messages: [{ role: "user", content }] }).messages[0] as ChatMessage;
const file = (file_data: unknown, filename?: unknown) => ({ type: "file", file: { file_data, filename } });
const dataUrl = (type: string, data: string) => `data:${type};base64,${data}`;

describe("a file is", () => {
  const cases: [what: string, part: object, kind: string, extension: string, name: string][] = [
    ["a PDF", file(dataUrl("application/pdf", base64(PDF)), "report.pdf"), "pdf", "pdf", "report.pdf"],
    ["a PDF, whatever it is called", file(dataUrl("text/plain", base64(PDF)), "a.txt"), "pdf", "pdf", "a.txt"],
    ["a PDF without a name", file(base64(PDF)), "pdf", "pdf", "file.pdf"],
    ["text", file(dataUrl("text/plain", base64("hello")), "notes"), "text", "txt", "notes"],
    ["text with a charset", file(dataUrl("text/plain;charset=utf-8", base64("é"))), "text", "txt", "file.txt"],
    ["Markdown, by its type", file(dataUrl("text/markdown", base64("# a"))), "text", "md", "file.md"],
    ["JSON, by its type", file(dataUrl("application/json", base64("{}"))), "text", "json", "file.json"],
    ["a table, by its name", file(base64("a,b"), "t.CSV"), "text", "csv", "t.CSV"],
    [
      "source code, by its name",
      file(dataUrl("application/octet-stream", base64("x = 1")), "a.py"),
      "text",
      "py",
      "a.py",
    ],
    ["text that is called an image", file(base64("no image"), "a.png"), "text", "txt", "a.png"],
    ["empty", file("data:text/plain;base64,", "a.log"), "text", "log", "a.log"],
    ["of the API of responses", { type: "input_file", file_data: base64("x"), filename: "a.ts" }, "text", "ts", "a.ts"],
    ["called by a path", file(base64("x"), "../../etc/cron.d/x.sh"), "text", "sh", "x.sh"],
    ["called by a Windows path", file(base64("x"), "C:\\Users\\me\\ä.txt"), "text", "txt", "ä.txt"],
    ["called with what means something in a tag", file(base64("x"), 'a"><b>&\n.txt'), "text", "txt", "a___b___.txt"],
    ["called by nothing", file(base64("x"), "../.."), "text", "txt", "file.txt"],
    ["called by a number", file(base64("x"), 7), "text", "txt", "file.txt"],
  ];
  test.each(cases)("%s", (_what, part, kind, extension, name) => {
    const files = filesIn(message({ type: "text", text: "x" }, part), 0);
    expect(readFiles(files)).toMatchObject([{ kind, extension, name }]);
    expect(files[0]?.param).toMatch(/^messages\[0\]\.content\[1\]\.(file\.)?file_data$/);
    expect(() => refuseOtherParts(message(part), 0)).not.toThrow();
  });
});

test("an image in a file part is an image", () => {
  const png = Buffer.from("iVBORw0KGgoAAAANSUhEUg==", "base64").toString("base64");
  for (const data of [png, dataUrl("image/png", png), dataUrl("application/pdf", png)]) {
    expect(filesIn(message(file(data, "a.png")), 0)).toEqual([]);
    expect(imagesIn(message(file(data, "a.png")), 0)).toMatchObject([
      { param: "messages[0].content[0].file.file_data" },
    ]);
  }
});

describe("a file is refused", () => {
  const cases: [what: string, part: object, says: RegExp, param: string][] = [
    ["by an id", { type: "file", file: { file_id: "file-1" } }, /bytes, as file_data/, "messages[0].content[0]"],
    [
      "by an id of the other API",
      { type: "input_file", file_id: "file-1" },
      /none is fetched/,
      "messages[0].content[0]",
    ],
    ["by an address", { type: "input_file", file_url: "https://x/a.pdf" }, /none is fetched/, "messages[0].content[0]"],
    ["by an address in the data", file("https://x/a.pdf"), /none is fetched/, "messages[0].content[0]"],
    ["by a path", file("file:///etc/passwd"), /none is fetched/, "messages[0].content[0]"],
    ["as a URL that is not base64", file("data:text/plain,hello"), /base64/, "messages[0].content[0]"],
    ["without anything", { type: "file" }, /bytes, as file_data/, "messages[0].content[0]"],
    ["that is no base64", file("data:text/plain;base64,%%%"), /base64/, "messages[0].content[0].file.file_data"],
    [
      "that is a zip",
      file(base64("PK\x03\x04\x00\x00", "latin1"), "a.docx"),
      /PDF and text/,
      "messages[0].content[0].file.file_data",
    ],
    [
      "with another encoding",
      file(base64("caf\xe9", "latin1"), "a.txt"),
      /UTF-8/,
      "messages[0].content[0].file.file_data",
    ],
    [
      "that is too large",
      file(base64("x".repeat(10 * 1024 * 1024 + 1))),
      /at most 10 MB/,
      "messages[0].content[0].file.file_data",
    ],
  ];
  test.each(cases)("%s", (_what, part, says, param) => {
    const read = () => {
      refuseOtherParts(message(part), 0);
      checkFiles(filesIn(message(part), 0));
    };
    expect(read).toThrow(
      expect.objectContaining({ code: "invalid_request", param, message: expect.stringMatching(says) }),
    );
  });

  test("with twenty others", () => {
    const files = filesIn(message(...Array.from({ length: 21 }, () => file(base64("x")))), 0);
    expect(() => checkFiles(files.slice(1))).not.toThrow();
    expect(() => checkFiles(files)).toThrow(
      expect.objectContaining({ param: "messages[0].content[20].file.file_data" }),
    );
  });
});
