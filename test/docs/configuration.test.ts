import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { CONFIGURATION_PAGE, withSettingsTables } from "../../docs/generate.ts";

const page = readFileSync(CONFIGURATION_PAGE, "utf8");

test("docs/configuration.md has every documented setting as the schema has it (`bun run docs` updates it)", () => {
  expect(page).toBe(withSettingsTables(page));
});

test("a setting that no table has is an error", () => {
  expect(() => withSettingsTables(page.replace("<!-- settings: bridgePort, ", "<!-- settings: "))).toThrow(
    "has bridgePort",
  );
});

test("a name that is no setting is an error", () => {
  expect(() => withSettingsTables(page.replace("<!-- settings: bridgePort, ", "<!-- settings: port, "))).toThrow(
    "port is not a documented setting",
  );
});
