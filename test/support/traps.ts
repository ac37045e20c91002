/** What a Claude that gets nothing of the user's setup must not use. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClaudeHome } from "./claude-home.ts";

/** Writes memory files and hooks of the user. A hook that runs leaves a file, and the memory has the word "memory". */
export function layTraps({ home, workspace }: Pick<ClaudeHome, "home" | "workspace">): void {
  mkdirSync(join(home, ".claude"));
  writeFileSync(join(home, ".claude/CLAUDE.md"), "the user's memory");
  writeFileSync(join(workspace, "CLAUDE.md"), "the workspace's memory");
  const hooks = [{ hooks: [{ type: "command", command: `touch '${join(home, "hook-ran")}'` }] }];
  const settings = { hooks: { SessionStart: hooks, UserPromptSubmit: hooks, Stop: hooks, SessionEnd: hooks } };
  writeFileSync(join(home, ".claude/settings.json"), JSON.stringify(settings));
}

/** Whether one of these hooks has run. */
export const hasHookRun = ({ home }: Pick<ClaudeHome, "home">): boolean => readdirSync(home).includes("hook-ran");
