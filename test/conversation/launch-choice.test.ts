/** The launch options of conversations, from the store. */
import { expect, test } from "bun:test";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { launchChoice, likelyLaunches } from "../../src/conversation/launch-choice.ts";
import type { SessionRow } from "../../src/store/schema.ts";
import type { SessionStore } from "../../src/store/sessions.ts";

const row = (changes: Partial<SessionRow> = {}) =>
  ({ source: "user", workspace: "/tmp", model: "opus", effort: null, systemPrompt: null, ...changes }) as SessionRow;

test("only a one-shot conversation is launched as a one-shot", () => {
  expect(launchChoice(row()).isIsolated).toBe(false);
  expect(launchChoice(row({ source: "one-shot" })).isIsolated).toBe(true);
});

test("expects the options of the conversations used last, but of none whose workspace is no longer allowed", () => {
  const config = { ...defaults(pathsFor("/nowhere")), allowedRoots: ["/tmp"], spares: 3 };
  const rows = [row(), row({ workspace: "/etc" }), row({ model: null })];
  const sessions = { latest: (count: number) => rows.slice(0, count) } as Partial<SessionStore> as SessionStore;
  expect(likelyLaunches(sessions, config).map(({ choice }) => [choice.workspace, choice.model])).toEqual([
    ["/tmp", "opus"],
    ["/tmp", null],
  ]);
});
