/** The launch options of a conversation's process, as the store records them. */
import type { LaunchChoice } from "../claude/launch-spec.ts";
import type { PrewarmSpec } from "../claude/pool/prewarmed.ts";
import { engineOf } from "../config/agent-settings.ts";
import type { Config } from "../config/schema.ts";
import { ALL_CLAUDE_TOOLS } from "../core/tools.ts";
import { isIsolated } from "../intake/identity.ts";
import { allowedWorkspace } from "../intake/workspace.ts";
import type { SessionRow } from "../store/schema.ts";
import type { SessionStore } from "../store/sessions.ts";

/** The launch options of a recorded session. */
export const launchChoice = ({
  source,
  workspace,
  model,
  effort,
  systemPrompt,
  claudeTools,
}: SessionRow): LaunchChoice => ({
  workspace,
  model,
  effort,
  systemPrompt,
  claudeTools: claudeTools ?? ALL_CLAUDE_TOOLS,
  isIsolated: isIsolated(source),
});

/** The launch options that new conversations are likely to need: those of the conversations that were used last. */
export const likelyLaunches = (sessions: SessionStore, config: Config): PrewarmSpec[] =>
  sessions.latest(config.spares).flatMap((row) => {
    const { trusted } = allowedWorkspace(row.workspace, config) ?? {};
    // The store does not record the client's tools, so a prewarmed process starts with none.
    if (trusted === undefined || isIsolated(row.source)) return [];
    return [{ trusted, choice: launchChoice(row), engine: engineOf(row.agent, config), tools: new Map() }];
  });
