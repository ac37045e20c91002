import { expect, test } from "bun:test";
import { type ChatMessage, speakerOf } from "../../../src/api/openai-chat/request.ts";

const speaker = (role: ChatMessage["role"], name: string) => speakerOf({ role, content: "hello", name });

test("a name that only repeats the role is no speaker", () => {
  expect(speaker("user", "User")).toBeNull();
  expect(speaker("assistant", "assistant")).toBeNull();
  // LangGraph names every answer after the node that asked the model.
  expect(speaker("assistant", "model")).toBeNull();
});

test("any other name is the speaker, on one line", () => {
  expect(speaker("user", "Ada\nLovelace")).toBe("Ada Lovelace");
  expect(speaker("user", "model")).toBe("model");
  expect(speaker("assistant", "researcher")).toBe("researcher");
});
