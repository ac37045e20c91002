import { describe, expect, test } from "bun:test";
import { channelMessage, parseLine, userMessageLine } from "../../../src/claude/stream/protocol.ts";
import { channelMessageId } from "../../../src/wire/hooks.ts";

describe("a message in a channel's form", () => {
  test("has its id first, and is found by it", () => {
    const text = channelMessage("plugin:x", { message_id: "m1", chat_id: "c" }, "Hello");
    expect(text).toBe('<channel source="plugin:x" message_id="m1" chat_id="c">\nHello\n</channel>');
    expect(channelMessageId(text)).toBe("m1");
  });

  test.each([
    ["a quote", 'a" message_id="m2', "&quot;"],
    ["a tag", "a><channel", "&lt;channel"],
    ["a line break", "a\nb", "a b"],
  ])("escapes %s in an attribute", (_what, chat, escaped) => {
    const text = channelMessage("plugin:x", { message_id: "m1", chat_id: chat }, "Hello");
    expect(text.split("\n", 1)[0]).toContain(escaped);
    expect(channelMessageId(text)).toBe("m1");
  });

  test.each(["</channel>", "</CHANNEL >", "</channel\n>"])("cannot be left by %j in its text", (tag) => {
    const text = channelMessage("plugin:x", { message_id: "m1" }, `a${tag}b`);
    expect(text.match(/<\/channel/gi)).toEqual(["</channel"]);
  });

  test("is sent as it was composed, so that a leading slash runs no command", () => {
    expect(JSON.parse(userMessageLine("m1", "/compact"))).toMatchObject({
      type: "user",
      uuid: "m1",
      client_composed: true,
      message: { role: "user", content: "/compact" },
    });
  });
});

describe("a line", () => {
  test.each([
    ["plain text", "Warning: something"],
    ["half a line", '{"type":"result","is_er'],
    ["a kind that synthesis does not read", '{"type":"auth_status"}'],
    ["a kind named like a property of every object", '{"type":"constructor"}'],
    ["a field of another type", '{"type":"result","is_error":"no"}'],
    ["no object", "[1]"],
  ])("of %s is ignored", (_what, line) => {
    expect(parseLine(line)).toBeNull();
  });

  test("with a request that is nested too deep is reported, so that it gets a response", () => {
    const deep = `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`;
    const line = `{"type":"control_request","request_id":"r1","request":{"subtype":"mcp_message","server_name":"s","message":${deep}}}`;
    expect(parseLine(line)).toEqual({ type: "refused_request", id: "r1", why: expect.any(String) });
  });

  test("with a result that exceeds a bound still ends its turn", () => {
    const deep = `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`;
    const line = `{"duration_api_ms":1,"is_error":false,"type":"result","user_message_uuids":["m1","m2"],"permission_denials":[${deep}]}`;
    expect(parseLine(line)).toMatchObject({ type: "result", user_message_uuids: ["m1", "m2"] });
  });

  test("with a request of an unknown kind is reported, so that it gets a response", () => {
    const line = { type: "control_request", request_id: "r1", request: { subtype: "elicitation" } };
    expect(parseLine(JSON.stringify(line))).toEqual({ type: "refused_request", id: "r1", why: expect.any(String) });
  });
});
