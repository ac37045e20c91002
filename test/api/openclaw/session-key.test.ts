/** Which chats have only one person in them. */
import { expect, test } from "bun:test";
import { isDirectChat } from "../../../src/api/openclaw/session-key.ts";

const cases: [key: string, isDirect: boolean][] = [
  ["agent:main:main", true],
  ["agent:ops:direct:ann", true],
  ["agent:main:telegram:work:direct:ann", true],
  ["agent:main:dashboard:8d2f", true],
  ["agent:main:slack:channel:c1", false],
  ["agent:main:telegram:group:-100:topic:3", false],
  ["agent:main:telegram:direct:ann:thread:9", false],
  ["agent:main:something-new:7", false],
  ["a key of another program", false],
];
test.each(cases)("%s is a direct chat: %p", (key, isDirect) => expect(isDirectChat(key)).toBe(isDirect));
