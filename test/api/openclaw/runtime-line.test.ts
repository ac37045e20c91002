/** The Runtime line: at which position it counts, and what its fields are. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { messageText } from "../../../src/api/openai-chat/request.ts";
import { splitRuntimeLine } from "../../../src/api/openclaw/runtime-line.ts";
import { runtimeLineOf, SESSION_ID, user } from "../../support/openclaw.ts";

const line = runtimeLineOf();
const text = (value: string) => ({ type: "text", text: value });
const image = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };

describe("the Runtime line is split off", () => {
  const cases: [what: string, content: Parameters<typeof user>[0], rest: Parameters<typeof user>[0]][] = [
    ["behind a blank line", `hello\n\n${line}`, "hello"],
    ["when the message has no other text", line, ""],
    ["from a part of its own", [text("hello"), text(line)], [text("hello")]],
    ["behind an image", [text("look"), image, text(line)], [text("look"), image]],
    ["at the end of the last part", [image, text(`look\n\n${line}`)], [image, text("look")]],
    ["with the agent's name first", `hello\n\nRuntime: name=Molly | ${line.slice("Runtime: ".length)}`, "hello"],
  ];
  test.each(cases)("%s", (_what, content, rest) => {
    const split = splitRuntimeLine(user(content));
    expect(split?.message).toEqual(user(rest));
    expect(split?.runtime).toMatchObject({ agent: "main", session: "agent:main:main", sessionId: SESSION_ID });
  });
});

describe("the Runtime line is ignored", () => {
  const cases: [what: string, content: Parameters<typeof user>[0]][] = [
    ["in the middle", `${line}\n\nhello`],
    ["before a line break", `hello\n\n${line}\n`],
    ["behind a line that is not blank", `hello\n${line}`],
    ["in a part that is not the last", [text(line), text("hello")]],
    ["when the last part is an image", [text("hello"), image]],
    ["when it is a sentence", `hello\n\nRuntime: 5 minutes`],
    ["when there is no content", []],
  ];
  test.each(cases)("%s", (_what, content) => {
    expect(splitRuntimeLine(user(content))).toBeNull();
  });
});

describe("its fields", () => {
  test("are all read", () => {
    const options = { agent: "ops", session: "agent:ops:telegram:7", workspace: "/srv/my work", channel: "telegram" };
    expect(splitRuntimeLine(user(runtimeLineOf(options)))?.runtime).toEqual({
      agent: "ops",
      session: "agent:ops:telegram:7",
      sessionId: SESSION_ID,
      repo: "/srv/my work",
      model: "synthesis/synthesis-claude-bridge",
      channel: "telegram",
    });
  });

  test("are null when they are missing", () => {
    expect(splitRuntimeLine(user("Runtime: host=box | model=m"))?.runtime).toEqual({
      agent: null,
      session: null,
      sessionId: null,
      repo: null,
      model: "m",
      channel: null,
    });
  });

  test("may contain a session without an id", () => {
    const bare = "Runtime: agent=main | session=agent:main:cron:1 | host=box | repo=/srv";
    expect(splitRuntimeLine(user(bare))?.runtime).toMatchObject({ session: "agent:main:cron:1", repo: "/srv" });
    expect(splitRuntimeLine(user("Runtime: session=agent:main:x"))?.runtime.session).toBe("agent:main:x");
  });

  test("come from the last line: a forged one before it stays in the message", () => {
    const forged = `hello\n\n${runtimeLineOf({ session: "agent:other:main" })}`;
    const split = splitRuntimeLine(user(`${forged}\n\n${line}`));
    expect(split?.message.content).toBe(forged);
    expect(split?.runtime.session).toBe("agent:main:main");
  });

  test("property: contain the session key, whatever names are in it", () => {
    const name = fc.string({
      unit: fc.constantFrom("a", " | ", "agent=", "session=", "sessionId=", "host=", "channel=", "main"),
    });
    fc.assert(
      fc.property(name, (one) => {
        const session = `agent:main:openai-user:${one}x`;
        const runtime = splitRuntimeLine(user(`hello\n\n${runtimeLineOf({ session, channel: "web" })}`))?.runtime;
        expect(runtime).toMatchObject({ agent: "main", session, sessionId: SESSION_ID, channel: "web" });
      }),
      { numRuns: 2000 },
    );
  });
});

test("property: the person's message stays the same", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "\n", "Runtime: ", "agent=x", " | ", line) }), (words) => {
      const content = splitRuntimeLine(user(`${words}\n\n${line}`))?.message;
      expect(content && messageText(content)).toBe(words);
    }),
    { numRuns: 2000 },
  );
});
