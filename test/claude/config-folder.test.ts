import { expect, test } from "bun:test";
import { configFolder, projectsFolder, sessionsFolder, stateFile } from "../../src/claude/config-folder.ts";

const paths = (env: Record<string, string>) => [
  configFolder(env),
  projectsFolder(env),
  sessionsFolder(env),
  stateFile(env),
];

test("Claude Code's files are in the home folder", () => {
  expect(paths({ HOME: "/home/me" })).toEqual([
    "/home/me/.claude",
    "/home/me/.claude/projects",
    "/home/me/.claude/sessions",
    "/home/me/.claude.json",
  ]);
});

test("CLAUDE_CONFIG_DIR moves all of them", () => {
  expect(paths({ HOME: "/home/me", CLAUDE_CONFIG_DIR: "/c" })).toEqual([
    "/c",
    "/c/projects",
    "/c/sessions",
    "/c/.claude.json",
  ]);
});
