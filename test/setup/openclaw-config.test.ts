/** What OpenClaw's configuration says about synthesis. */
import { expect, test } from "bun:test";
import { isReference, type OpenClawConfig, pluginState } from "../../src/setup/openclaw-config.ts";

test.each<[plugins: OpenClawConfig["plugins"], state: ReturnType<typeof pluginState>]>([
  [undefined, "absent"],
  [{ load: { paths: ["/other"] } }, "absent"],
  [{ load: { paths: ["/ours"] } }, "loaded"],
  [{ load: { paths: ["/ours"] }, entries: { synthesis: { enabled: false } } }, "disabled"],
])("with the plugins %j ours is %s", (plugins, state) => {
  expect(pluginState({ plugins }, "/ours")).toBe(state);
});

test.each<[key: unknown, expected: boolean]>([
  ["sk-synthesis-0123456789", false],
  [undefined, false],
  ["$" + "{SYNTHESIS_KEY}", true],
  [{ source: "env", id: "SYNTHESIS_KEY" }, true],
])("the key %j is a reference: %p", (key, expected) => {
  expect(isReference(key)).toBe(expected);
});
