/** Images that tools return: which user messages contain them, and which result they belong to. */
import { describe, expect, test } from "bun:test";
import { type ChatMessage, chatRequest, messageText } from "../../../src/api/openai-chat/request.ts";
import { withToolImages } from "../../../src/api/openai-chat/tool-images.ts";

const text = (value: string) => ({ type: "text", text: value });
const image = (name: string) => ({ type: "image_url", image_url: { url: `data:image/png;base64,${name}` } });
const user = (...content: object[]) => ({ role: "user", content });
const tool = (id: string, content: unknown = "ok", more: object = {}) => ({
  role: "tool",
  tool_call_id: id,
  content,
  ...more,
});
const calls = (...names: string[]) => ({
  role: "assistant",
  content: null,
  tool_calls: names.map((name, at) => ({ id: `call_${at + 1}`, function: { name, arguments: "{}" } })),
});
const OPENCLAW = (number: number, name: string) => text(`Image(s) from tool result #${number} (${name}):`);
const PI = text("Attached image(s) from tool result:");

/** Each message in short: its role, its text, and its images. */
const short = (messages: object[]) =>
  withToolImages(chatRequest.parse({ messages }).messages).map(({ message }) =>
    [message.role, messageText(message), ...namesIn(message)].join(" "),
  );
const namesIn = ({ content }: ChatMessage): readonly string[] =>
  Array.isArray(content) ? content.flatMap((part) => /base64,(\w+)/.exec(JSON.stringify(part))?.[1] ?? []) : [];

describe("moves into the results the images", () => {
  const cases: [what: string, messages: object[], results: string[]][] = [
    [
      "of one result of OpenClaw's",
      [tool("call_1", "(see attached image)"), user(OPENCLAW(1, "browser"), image("A"))],
      ["A"],
    ],
    [
      "of OpenClaw, by the number of the result",
      [
        tool("call_1"),
        tool("call_2"),
        tool("call_3"),
        user(OPENCLAW(1, "browser"), image("A"), image("B"), OPENCLAW(3, "radio"), image("C")),
      ],
      ["A B", "", "C"],
    ],
    [
      "of OpenClaw, when the heading does not name the tool",
      [tool("x"), tool("y"), user(text("Image(s) from tool result #2:"), image("A"))],
      ["", "A"],
    ],
    [
      "of OpenClaw, by the tool's name when the number is another tool's",
      [tool("call_1"), tool("call_2"), user(OPENCLAW(1, "camera"), image("A"), OPENCLAW(7, "browser"), image("B"))],
      ["B", "A"],
    ],
    [
      "of OpenClaw, by the number when the name is shortened",
      [tool("call_1"), user(OPENCLAW(1, "brow"), image("A"))],
      ["A"],
    ],
    [
      "of OpenClaw, into the last result when number and name are unknown",
      [tool("call_1"), tool("call_2"), user(OPENCLAW(9, "radar"), image("A"))],
      ["", "A"],
    ],
    ["of pi", [tool("a", "(see attached image)"), user(PI, image("A"))], ["A"]],
    [
      "of pi, one for each result that announces one",
      [
        tool("a", "(see attached image)"),
        tool("b", "no"),
        tool("c", "(see attached image)"),
        user(PI, image("A"), image("B")),
      ],
      ["A", "", "B"],
    ],
    [
      "of pi, into the last result when none announces one",
      [tool("a", "one"), tool("b", "two"), user(PI, image("A"), image("B"))],
      ["", "A B"],
    ],
    ["of OpenCode", [tool("a"), user(text("Attached media from tool result:"), image("A"))], ["A"]],
    [
      "of Crush, in several messages",
      [
        tool("a", "[Image/media content loaded - see attached file]"),
        tool("b", "[Image/media content loaded - see attached file]"),
        user(text("Here is the media content from the tool result:"), image("A")),
        user(image("B")),
      ],
      ["A", "B"],
    ],
    [
      "of Cline and Roo, without a heading",
      [tool("a", "seen\n(see following user message for image)"), user(image("A"))],
      ["A"],
    ],
    [
      "of goose, after each result",
      [
        tool("a", [text("This tool result included an image that is uploaded in the next message.")]),
        user(image("A")),
        tool("b", [text("This tool result included an image that is uploaded in the next message.")]),
        user(image("B")),
      ],
      ["A", "B"],
    ],
    [
      "of agents that name the call",
      [
        tool("call_1"),
        tool("call-2"),
        user(text("Image returned by tool call call2:"), image("B"), text("[Image from tool call call_1]"), image("A")),
      ],
      ["A", "B"],
    ],
    ["of agents that name no call", [tool("a"), user(text("Screenshot from the tool call above:"), image("A"))], ["A"]],
    ["of Pydantic AI", [tool("a", "See file 1f2"), tool("b"), user(text("This is file 1f2:"), image("A"))], ["A", ""]],
    [
      "of LibreChat, with their text",
      [
        tool("a", "Tool response is included in the next message as a Human message"),
        user(text("It worked."), image("A")),
      ],
      ["A"],
    ],
    ["of a function of the older API", [{ role: "function", name: "f", content: "x" }, user(PI, image("A"))], ["A"]],
    [
      "of pi, as a file",
      [tool("a"), user(PI, { type: "file", file: { file_data: "data:application/pdf;base64,A" } })],
      ["A"],
    ],
    ["of pi, beside a blank text", [tool("a"), user(PI, text(" "), image("A"))], ["A"]],
    ["of pi, behind a system message", [tool("a"), { role: "system", content: "x" }, user(PI, image("A"))], ["A"]],
  ];
  test.each(cases)("%s", (_what, messages, results) => {
    const all = short([user(text("look")), calls("browser", "camera", "radio"), ...messages, user(text("and then?"))]);
    const given = all.filter((line) => /^(?:tool|function) /.test(line));
    expect(
      given.map((line) =>
        line
          .split(" ")
          .filter((word) => /^[A-C]$/.test(word))
          .join(" "),
      ),
    ).toEqual(results);
    // The user message with the images is removed.
    expect(all.filter((line) => line.startsWith("user"))).toEqual(["user look", "user and then?"]);
  });
});

describe("keeps as a person's message", () => {
  const cases: [what: string, messages: object[]][] = [
    ["an image with the heading and another text", [tool("a"), user(PI, image("A"), text("What is this?"))]],
    [
      "an image with a text that contains the heading",
      [tool("a"), user(text("Image(s) from tool result #1 (x): is this right?"), image("A"))],
    ],
    ["an image alone, when no result announces one", [tool("a", "done"), user(image("A"))]],
    ["an image with the heading, without a result before it", [user(PI, image("A"))]],
    [
      "an image behind an answer",
      [tool("a", "(see attached image)"), { role: "assistant", content: "x" }, user(image("A"))],
    ],
    [
      "an image with the heading, behind another message",
      [tool("a", "(see attached image)"), user(text("wait")), user(PI, image("A"))],
    ],
    ["the heading alone", [tool("a"), user(PI)]],
    ["the heading as a plain string", [tool("a"), { role: "user", content: PI.text }]],
    ["an image with the name of an unknown file", [tool("a"), user(text("This is file a.pdf:"), image("A"))]],
    ["an image with the heading, from a person with a name", [tool("a"), { ...user(PI, image("A")), name: "Ada" }]],
  ];
  test.each(cases)("%s", (_what, messages) => {
    expect(short(messages)).toHaveLength(messages.length);
  });
});

test("keeps the index of each message in the request", () => {
  const messages = [user(text("look")), calls("a"), tool("call_1"), user(PI, image("A")), user(text("well?"))];
  expect(withToolImages(chatRequest.parse({ messages }).messages).map(({ index }) => index)).toEqual([0, 1, 2, 4]);
});
