/** The attributes in which Claude receives the paths of a message's images and files. */
import { expect, test } from "bun:test";
import { attachmentMeta } from "../../src/conversation/attachment-meta.ts";
import type { DecodedFile, DecodedImage } from "../../src/core/attachments.ts";

test("numbers images and files, saves each, and keeps the names of files", () => {
  const saved: string[] = [];
  const image = (extension: string) => ({ bytes: new Uint8Array(1), extension }) as DecodedImage;
  const file = { bytes: "%PDF", extension: "pdf", name: "report.pdf" } as unknown as DecodedFile;
  const meta = attachmentMeta([image("png"), image("jpg")], [file], (_bytes, extension) => {
    saved.push(extension);
    return `/saved/${saved.length}.${extension}`;
  });
  expect(meta).toEqual({
    image_1: "/saved/1.png",
    image_2: "/saved/2.jpg",
    file_1: "/saved/3.pdf",
    file_1_name: "report.pdf",
  });
});

test("has no attributes for a message without images and files", () => {
  expect(attachmentMeta([], [], () => "/never")).toEqual({});
});
