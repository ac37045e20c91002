import { expect, test } from "bun:test";
import { launchHash } from "../../src/claude/launch-hash.ts";
import { pathsFor } from "../../src/config/paths.ts";
import { type Config, defaults } from "../../src/config/schema.ts";
import { launchSpec } from "./launch-spec.ts";

const hashOf = (choice: Parameters<typeof launchSpec>[0], settings: Partial<Config> = {}) =>
  launchHash(launchSpec(choice).choice, { ...defaults(pathsFor("/nowhere")), ...settings });

test("the same choice has the same hash", () => {
  expect(hashOf({})).toBe(hashOf({}));
});

test.each<[what: string, hash: () => string]>([
  ["another workspace", () => hashOf({ choice: { workspace: "/x" } })],
  ["another model", () => hashOf({ choice: { model: "opus" } })],
  ["another effort", () => hashOf({ choice: { effort: "low" } })],
  ["another system prompt", () => hashOf({ choice: { systemPrompt: "Be brief." } })],
  ["another permission mode", () => hashOf({}, { permissionMode: "plan" })],
  ["other allowed tools", () => hashOf({}, { allowedTools: ["Bash(git *)"] })],
])("%s has another hash", (_what, hash) => {
  expect(hash()).not.toBe(hashOf({}));
});

test("an effort that is the configured one has the same hash", () => {
  expect(hashOf({ choice: { effort: "low" } }, { effort: "low" })).toBe(hashOf({}, { effort: "low" }));
});

test("a system prompt that the configuration ignores has the same hash", () => {
  const settings: Partial<Config> = { systemPrompt: "ignore" };

  expect(hashOf({ choice: { systemPrompt: "Be brief." } }, settings)).toBe(hashOf({}, settings));
});
