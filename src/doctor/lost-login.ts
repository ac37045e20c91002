/** Checks whether the server of this state folder knows of a lost login. Claude Code itself does not ask the API. */
import { z } from "zod";
import { LOST_LOGIN_ADVICE } from "../claude/login.ts";
import type { Paths } from "../config/paths.ts";
import { askServer } from "./ask-server.ts";
import { type Check, subject } from "./check.ts";

const login = subject("login", "login of the server");

const health = z.looseObject({ login: z.string() });

/** @returns no check when no server runs, or it knows of no lost login */
export async function lostLoginChecks(paths: Paths): Promise<Check[]> {
  const report = await askServer(paths, "/health", health);
  if (report?.login !== "expired") return [];
  return [login.warning("lost", "lost, or rejected by the API at the last message", LOST_LOGIN_ADVICE)];
}
