/** The workspace, the allowed roots and the workspaces of agents. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { workspaceChecks } from "../../src/doctor/workspaces.ts";
import { createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture();
});
afterEach(() => fixture[Symbol.dispose]());

test("accepts a workspace that does not exist yet, since the server creates it", () => {
  rmSync(fixture.workspace, { recursive: true });
  const agents = { ops: { workspace: join(fixture.base, "ops") } };
  expect(workspaceChecks(fixture.config({ agents })).map(({ id, name }) => [id, name])).toEqual([
    ["workspace.ok", "workspace"],
    ["agent_workspace.ok", "workspace of ops"],
  ]);
});

test("rejects a workspace that is a file", () => {
  const workspace = fixture.write("file", "");
  expect(workspaceChecks(fixture.config({ workspace }))[0]).toMatchObject({
    id: "workspace.unusable",
    result: "failed",
    found: expect.stringContaining(workspace),
    advice: expect.stringContaining("SYNTHESIS_WORKSPACE"),
  });
});

test("rejects an agent's workspace that is a file", () => {
  const workspace = fixture.write("file", "");
  expect(workspaceChecks(fixture.config({ agents: { ops: { workspace } } })).at(-1)).toMatchObject({
    id: "agent_workspace.unusable",
    name: "workspace of ops",
    result: "failed",
    found: expect.stringContaining(workspace),
    advice: expect.stringContaining("SYNTHESIS_AGENTS"),
  });
});

test("warns of an allowed root that does not exist", () => {
  expect(workspaceChecks(fixture.config({ allowedRoots: ["/nowhere"] })).at(-1)).toMatchObject({
    id: "allowed_root.missing",
    result: "warning",
    found: expect.stringContaining("/nowhere"),
    advice: expect.stringContaining("SYNTHESIS_ALLOWED_ROOTS"),
  });
});

test("rejects an allowed root that is a file", () => {
  const root = fixture.write("file", "");
  expect(workspaceChecks(fixture.config({ allowedRoots: [root] })).at(-1)).toMatchObject({
    id: "allowed_root.unusable",
    result: "failed",
  });
});
