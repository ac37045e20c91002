/** Where Claude Code keeps its own files: `CLAUDE_CONFIG_DIR` if that is set, otherwise the user's home. */
import { homedir } from "node:os";
import { join } from "node:path";

type Env = Record<string, string | undefined>;

const homeFolder = (env: Env): string => env.HOME || homedir();

/** Settings, transcripts and session files: `CLAUDE_CONFIG_DIR` or `~/.claude`. */
export const configFolder = (env: Env): string => env.CLAUDE_CONFIG_DIR || join(homeFolder(env), ".claude");

/** The transcripts, in one folder per workspace. */
export const projectsFolder = (env: Env): string => join(configFolder(env), "projects");

/** One file per running `claude`, named by its process id. */
export const sessionsFolder = (env: Env): string => join(configFolder(env), "sessions");

/** The file in which Claude Code remembers answers and per-project choices: `.claude.json`. */
export const stateFile = (env: Env): string => join(env.CLAUDE_CONFIG_DIR || homeFolder(env), ".claude.json");
