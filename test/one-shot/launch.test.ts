/** What is written to the process of a one-shot, and in which steps. */
import { expect, test } from "bun:test";
import type { DialogueTurn } from "../../src/core/dialogue.ts";
import type { JsonSchema } from "../../src/core/tools.ts";
import type { OneShotRequest } from "../../src/intake/one-shot-request.ts";
import { inputSteps } from "../../src/one-shot/launch.ts";

const turn = (role: DialogueTurn["role"], text: string): DialogueTurn => ({ role, content: [{ type: "text", text }] });
const request = (turns: readonly DialogueTurn[], claudeSchema: JsonSchema | null = null): OneShotRequest => ({
  system: "",
  turns,
  prefill: null,
  format: claudeSchema ? { type: "json", schema: claudeSchema } : { type: "text" },
  claudeSchema,
  model: null,
  effort: null,
});
const lines = (step: string | undefined) =>
  (step ?? "")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

test("writes an answer only when Claude Code has taken in the message before it", () => {
  const steps = inputSteps(request([turn("user", "one"), turn("assistant", "two"), turn("user", "three")]));
  expect(steps).toHaveLength(2);
  expect(lines(steps[0])).toMatchObject([{ type: "user", shouldQuery: false }]);
  expect(lines(steps[1])).toMatchObject([{ type: "assistant" }, { type: "user" }]);
});

test("asks for an answer to the last message only", () => {
  const steps = inputSteps(request([turn("user", "one"), turn("assistant", "two"), turn("user", "three")]));
  expect(lines(steps[1]).at(-1)).not.toHaveProperty("shouldQuery");
});

test("marks every message as the client's, so that none is read as a command", () => {
  const [step] = inputSteps(request([turn("user", "/exit")]));
  expect(lines(step)).toMatchObject([{ client_composed: true }]);
});

test("names the schema that the answer must fit before the first message", () => {
  const schema = { type: "object" };
  const [step] = inputSteps(request([turn("user", "one")], schema));
  expect(lines(step)).toMatchObject([{ type: "control_request", request: { jsonSchema: schema } }, { type: "user" }]);
});
