/** Header values with characters that a header cannot hold. */
import { expect, test } from "bun:test";
import { headerText, openClawHeader } from "../../../src/api/openclaw/headers.ts";

/** The bytes of a text as an HTTP library decodes them. */
const received = (text: string, encoding: "utf8" | "latin1") =>
  new Headers({ "x-openclaw-chat-id": Buffer.from(text, encoding).toString("latin1") });

test("reads UTF-8", () => expect(headerText(received("Jürgen", "utf8"), "x-openclaw-chat-id")).toBe("Jürgen"));

test("reads Latin-1", () => expect(headerText(received("Jürgen", "latin1"), "x-openclaw-chat-id")).toBe("Jürgen"));

test("decodes percent signs only in OpenClaw's headers", () => {
  const headers = new Headers({ "x-openclaw-chat-id": "J%C3%BCrgen" });
  expect(openClawHeader(headers, "x-openclaw-chat-id")).toBe("Jürgen");
  expect(headerText(headers, "x-openclaw-chat-id")).toBe("J%C3%BCrgen");
});

test("keeps a percent sign that encodes nothing", () => {
  expect(openClawHeader(new Headers({ "x-openclaw-chat-id": "100%" }), "x-openclaw-chat-id")).toBe("100%");
});

test("is null without the header", () => expect(headerText(new Headers(), "x-openclaw-chat-id")).toBeNull());
