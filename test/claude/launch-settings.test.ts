import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launchSettings } from "../../src/claude/launch-settings.ts";
import { launchSpec } from "./launch-spec.ts";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["a file", ""],
  ["a file with a byte order mark", "\uFEFF"],
])("the MCP servers of %s in the workspace, or in a folder above it, are disabled", (_what, mark) => {
  const workspace = join(folder, "inner");
  mkdirSync(workspace);
  const write = (path: string, name: string) =>
    writeFileSync(join(path, ".mcp.json"), `${mark}{"mcpServers":{"${name}":{"command":"touch"}}}`);
  write(folder, "outer");
  write(workspace, "inner");
  const settings = launchSettings(launchSpec({ choice: { workspace } }), {}, []);
  expect(settings).toMatchObject({ disabledMcpjsonServers: ["outer", "inner"] });
});
