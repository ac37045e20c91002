/** Starting a server takes the permissions of other users on the state folder away, unless all users share the folder. */
import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { prepareStateFolder } from "../../src/config/state-folder.ts";

test.each([
  ["open to all users", 0o777, 0o700],
  ["open to a group", 0o750, 0o700],
  ["closed", 0o700, 0o700],
  ["shared by all users, like /tmp", 0o1777, 0o1777],
])("a state folder that is %s", (_what, before, after) => {
  const folder = mkdtempSync(join(tmpdir(), "synthesis-state-"));
  chmodSync(folder, before);
  prepareStateFolder(pathsFor(folder));
  expect(statSync(folder).mode & 0o7777).toBe(after);
  rmSync(folder, { recursive: true });
});
