/** Which folders a client may work in. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { type Config, defaults } from "../../src/config/schema.ts";
import { workspaceFor } from "../../src/intake/workspace.ts";

let base: string;
let config: Config;
beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  for (const folder of ["root/project", "outside/secret", "work"]) mkdirSync(join(base, folder), { recursive: true });
  symlinkSync(join(base, "outside"), join(base, "root/way-out"));
  symlinkSync(join(base, "root/loop"), join(base, "root/loop"));
  symlinkSync(join(base, "root/project"), join(base, "root/alias"));
  for (const file of ["root/file", "outside/file"]) writeFileSync(join(base, file), "");
  config = { ...defaults(pathsFor(base)), workspace: join(base, "work"), allowedRoots: [join(base, "root")] };
});
afterAll(() => rmSync(base, { recursive: true }));

const asking = (folder: string | undefined) => new Headers(folder ? { "x-openclaw-workspace": folder } : {});

describe("a workspace named in the header is allowed", () => {
  const cases: [asked: string | undefined, path: string, trusted: boolean][] = [
    [undefined, "work", true],
    ["root", "root", true],
    ["root/project", "root/project", false],
    ["root/alias", "root/project", false],
    ["root/new/deep", "root/new/deep", false],
    ["root/../root/project", "root/project", false],
  ];
  test.each(cases)("%p is the real path %p, trusted: %p", (asked, path, trusted) => {
    const workspace = workspaceFor(asking(asked && join(base, asked)), null, null, config);
    expect(workspace).toEqual({ path: join(base, path), trusted });
    expect(existsSync(workspace.path)).toBe(true);
  });
});

describe("a workspace named in the header is refused", () => {
  test.each([
    "work/x",
    "outside",
    "root/way-out",
    "root/way-out/secret",
    "root/way-out/new",
    "root/../outside",
    "root/file/../way-out/secret",
    "root/nothing/../way-out/secret",
    `root/${"x".repeat(5_000)}/../way-out/secret`,
    `root/way-out/${"x".repeat(300)}`,
    "outside/file/deep",
    "root-2",
    "",
  ])("outside the allowed roots: %p", (asked) => {
    // The default workspace is not an allowed root here.
    const path = asked === "" ? "relative/path" : `${base}/${asked}`;
    expect(() => workspaceFor(asking(path), null, null, config)).toThrow(
      expect.objectContaining({ code: "workspace_not_allowed", param: "x-openclaw-workspace" }),
    );
    // Nothing is created before the refusal.
    expect(existsSync(join(base, "outside/new"))).toBe(false);
  });
  test.each([
    ["that is a file", "root/file"],
    ["below a file", "root/file/deep"],
    ["whose name is too long", `root/${"x".repeat(5_000)}`],
    ["that is a link to itself", "root/loop"],
    ["behind a link to itself", "root/loop/deep"],
  ])("%s", (_what, asked) => {
    expect(() => workspaceFor(asking(join(base, asked)), null, null, config)).toThrow(
      expect.objectContaining({ code: "workspace_not_allowed" }),
    );
  });
});

describe("without a header the workspace is", () => {
  const at = (folder: string) => join(base, folder);
  const cases: [what: string, guessed: string | null, agent: string | null, path: string, trusted: boolean][] = [
    ["the folder that the system prompt names", "root/project", "ops", "root/project", false],
    ["the default, when that folder is not allowed", "outside", null, "work", true],
    ["the default, when that folder is a link out of the allowed roots", "root/way-out/secret", null, "work", true],
    ["the agent's configured one", null, "ops", "agents/ops", true],
    ["an agent's configured one that the system prompt names", "agents/ops", "main", "agents/ops", true],
    ["the default, for an agent without one", null, "main", "work", true],
  ];
  test.each(cases)("%s", (_what, guessed, agent, path, trusted) => {
    const withAgents = { ...config, agents: { ops: { workspace: at("agents/ops") } } };
    const workspace = workspaceFor(new Headers(), guessed && at(guessed), agent, withAgents);
    expect(workspace).toEqual({ path: at(path), trusted });
  });
});
