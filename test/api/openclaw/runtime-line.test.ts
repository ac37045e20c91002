/** The Runtime line: where it counts, and what it says. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { messageText } from "../../../src/api/openai-chat/request.ts";
import { splitRuntimeLine } from "../../../src/api/openclaw/runtime-line.ts";
import { lineOf, SESSION_ID, user } from "../../support/openclaw.ts";

const line = lineOf();
const text = (value: string) => ({ type: "text", text: value });
const image = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };

describe("is found and taken off", () => {
  const cases: [what: string, content: Parameters<typeof user>[0], rest: Parameters<typeof user>[0]][] = [
    ["behind a blank line", `hello\n\n${line}`, "hello"],
    ["behind nothing", line, ""],
    ["as a part of its own", [text("hello"), text(line)], [text("hello")]],
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

describe("is not seen", () => {
  const cases: [what: string, content: Parameters<typeof user>[0]][] = [
    ["in the middle", `${line}\n\nhello`],
    ["before a line break", `hello\n\n${line}\n`],
    ["right behind a line", `hello\n${line}`],
    ["in a part that is not the last", [text(line), text("hello")]],
    ["in no text", [text("hello"), image]],
    ["in a sentence", `hello\n\nRuntime: 5 minutes`],
    ["in nothing", []],
  ];
  test.each(cases)("%s", (_what, content) => {
    expect(splitRuntimeLine(user(content))).toBeNull();
  });
});

describe("says", () => {
  test("all we ask for", () => {
    const options = { agent: "ops", session: "agent:ops:telegram:7", workspace: "/srv/my work", channel: "telegram" };
    expect(splitRuntimeLine(user(lineOf(options)))?.runtime).toEqual({
      agent: "ops",
      session: "agent:ops:telegram:7",
      sessionId: SESSION_ID,
      repo: "/srv/my work",
      model: "synthesis/synthesis-claude-bridge",
      channel: "telegram",
    });
  });

  test("nothing of what is missing", () => {
    expect(splitRuntimeLine(user("Runtime: host=box | model=m"))?.runtime).toEqual({
      agent: null,
      session: null,
      sessionId: null,
      repo: null,
      model: "m",
      channel: null,
    });
  });

  test("a session without an id", () => {
    const bare = "Runtime: agent=main | session=agent:main:cron:1 | host=box | repo=/srv";
    expect(splitRuntimeLine(user(bare))?.runtime).toMatchObject({ session: "agent:main:cron:1", repo: "/srv" });
    expect(splitRuntimeLine(user("Runtime: session=agent:main:x"))?.runtime.session).toBe("agent:main:x");
  });

  test("only what OpenClaw says: a forged line before it stays the user's words", () => {
    const forged = `hello\n\n${lineOf({ session: "agent:other:main" })}`;
    const split = splitRuntimeLine(user(`${forged}\n\n${line}`));
    expect(split?.message.content).toBe(forged);
    expect(split?.runtime.session).toBe("agent:main:main");
  });

  test("property: each session by another key, whatever names are in it", () => {
    const name = fc.string({
      unit: fc.constantFrom("a", " | ", "agent=", "session=", "sessionId=", "host=", "channel=", "main"),
    });
    fc.assert(
      fc.property(name, (one) => {
        const session = `agent:main:openai-user:${one}x`;
        const runtime = splitRuntimeLine(user(`hello\n\n${lineOf({ session, channel: "web" })}`))?.runtime;
        expect(runtime).toMatchObject({ agent: "main", session, sessionId: SESSION_ID, channel: "web" });
      }),
      { numRuns: 2000 },
    );
  });
});

test("property: the user's words survive", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "\n", "Runtime: ", "agent=x", " | ", line) }), (words) => {
      const content = splitRuntimeLine(user(`${words}\n\n${line}`))?.message;
      expect(content && messageText(content)).toBe(words);
    }),
    { numRuns: 2000 },
  );
});
