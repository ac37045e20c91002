/** The state folder: that it can be used, and that other users cannot read it. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, rmSync } from "node:fs";
import { stateFolderChecks } from "../../src/doctor/state-folder.ts";
import { createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture();
});
afterEach(() => fixture[Symbol.dispose]());

const check = () => stateFolderChecks(fixture.paths);
const KEY = "sk-synthesis-0123456789";

test("accepts a folder that does not exist yet, since the server creates it", () => {
  rmSync(fixture.paths.home, { recursive: true });
  expect(check()).toMatchObject([{ id: "state_folder.ok" }]);
});

test("accepts a folder with keys that only their owner can read", () => {
  fixture.write("state/chat.key", KEY);
  expect(check()).toMatchObject([{ id: "state_folder.ok" }]);
});

test("rejects a folder that other users can read", () => {
  chmodSync(fixture.paths.home, 0o755);
  expect(check()).toMatchObject([
    {
      id: "state_folder.readable_by_others",
      result: "failed",
      found: expect.stringContaining(fixture.paths.home),
      advice: `Run \`chmod go= ${fixture.paths.home}\`.`,
    },
  ]);
});

test.each(["chat.key", "control.key", "metrics.key", "synthesis.db"])(
  "rejects a %s that other users can read",
  (name) => {
    const file = fixture.write(`state/${name}`, KEY, 0o644);
    expect(check()).toMatchObject([
      {
        id: "state_folder.readable_by_others",
        found: expect.stringContaining(file),
        advice: `Run \`chmod go= ${file}\`.`,
      },
    ]);
  },
);

test("rejects an empty key", () => {
  const file = fixture.write("state/control.key", "");
  expect(check()).toMatchObject([
    { id: "state_folder.empty_key", result: "failed", found: expect.stringContaining(file) },
  ]);
});

test("reports every path that cannot be used", () => {
  fixture.write("state/run", "");
  fixture.write("state/images", "");
  expect(check()).toMatchObject([
    { id: "state_folder.unusable", found: expect.stringContaining(fixture.paths.run) },
    { id: "state_folder.unusable", found: expect.stringContaining(fixture.paths.attachments) },
  ]);
});
