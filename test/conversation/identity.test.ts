/** Which conversation a request belongs to. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { identify } from "../../src/conversation/identity.ts";

type Names = { key?: string; agent?: string; chat?: string; user?: string };
const keyOf = ({ key, agent, chat, user }: Names) =>
  identify((name) => {
    const headers = { "x-openclaw-session-key": key, "x-openclaw-agent-id": agent, "x-openclaw-chat-id": chat };
    return headers[name as keyof typeof headers];
  }, user).key;

describe("the session key", () => {
  const cases: [what: string, names: Names, key: string][] = [
    [
      "is OpenClaw's own before all else",
      { key: "agent:main:main", agent: "a", chat: "c", user: "u" },
      "agent:main:main",
    ],
    ["is agent and chat", { agent: "a", chat: "c", user: "u" }, "chat:a::c"],
    ["is user and chat", { chat: "c", user: "u" }, "chat:u::c"],
    ["is a chat of nobody's", { chat: "c" }, "chat:default::c"],
    ["is the agent alone before the user", { agent: "a", user: "u" }, "agent-id:a"],
    ["is the user", { user: "u" }, "user:u"],
    ["is the one of those who name none", {}, "default"],
    ["does not take an empty name", { key: "", user: "u" }, "user:u"],
  ];
  test.each(cases)("%s", (_what, names, key) => {
    expect(keyOf(names)).toBe(key);
  });

  test.each(["x".repeat(257), "a\nb", "a\u0000b", "a\u2028b"])("cannot be %j", (user) => {
    expect(() => keyOf({ user })).toThrow("1 to 256 printable characters");
  });

  test("property: is different for whatever names a conversation differently", () => {
    const name = fc.option(
      fc.string({
        unit: fc.constantFrom("a", ":", "k", "user:", "key:", "chat:", "default"),
        minLength: 1,
        maxLength: 4,
      }),
      { nil: undefined },
    );
    const source = fc.oneof(
      name.map((key) => ({ key })),
      fc.record({ agent: name, chat: name }),
      name.map((user) => ({ user })),
    );
    const canonical = ({ key, agent, chat, user }: Names) =>
      JSON.stringify(
        key ? { key } : chat ? { chat, agent: agent ?? "default" } : agent ? { agent } : user ? { user } : {},
      );
    fc.assert(
      fc.property(source, source, (one, other) => {
        expect(keyOf(one as Names) === keyOf(other as Names)).toBe(
          canonical(one as Names) === canonical(other as Names),
        );
      }),
      { numRuns: 3000 },
    );
  });
});
