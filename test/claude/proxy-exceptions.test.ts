import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { proxyExceptions } from "../../src/claude/proxy-exceptions.ts";

let workspace: string;
beforeEach(() => {
  workspace = mkdtempSync(join(tmpdir(), "synthesis-test-"));
});
afterEach(() => rmSync(workspace, { recursive: true }));

const both = (value: string) => ({ NO_PROXY: value, no_proxy: value });

test("the server's address is always an exception", () => {
  expect(proxyExceptions(workspace, { HOME: workspace })).toEqual(both("127.0.0.1"));
});

test("the exceptions of the user are kept, each once", () => {
  const env = { HOME: workspace, NO_PROXY: "a.example, 127.0.0.1", no_proxy: "b.example" };

  expect(proxyExceptions(workspace, env)).toEqual(both("a.example,127.0.0.1,b.example"));
});

test("the exceptions of the workspace's settings are kept", () => {
  mkdirSync(join(workspace, ".claude"));
  writeFileSync(join(workspace, ".claude/settings.json"), JSON.stringify({ env: { NO_PROXY: "c.example" } }));

  expect(proxyExceptions(workspace, { HOME: "/nowhere" })).toEqual(both("c.example,127.0.0.1"));
});
