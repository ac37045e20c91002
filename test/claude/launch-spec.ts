/** Launch specs for tests of processes and of the pool. */

import type { LaunchChoice, LaunchSpec } from "../../src/claude/launch-spec.ts";
import type { OfferedTool, ToolCatalogue } from "../../src/core/tools.ts";
import { ALL_CLAUDE_TOOLS } from "../../src/core/tools.ts";

export const offeredTool = (name: string, description = ""): OfferedTool => ({
  name,
  definition: { name, description, inputSchema: { type: "object" } },
  isWrapped: false,
});

export const catalogueOf = (...names: string[]): ToolCatalogue =>
  new Map(names.map((name) => [name, offeredTool(name)]));

export const launchSpec = ({
  choice,
  ...spec
}: Partial<Omit<LaunchSpec, "choice">> & { choice?: Partial<LaunchChoice> } = {}): LaunchSpec => ({
  sessionKey: "user:test",
  claudeSession: crypto.randomUUID(),
  resume: false,
  trusted: true,
  tools: catalogueOf(),
  rules: [],
  engine: "auto",
  choice: {
    workspace: "/w",
    model: null,
    effort: null,
    systemPrompt: null,
    claudeTools: ALL_CLAUDE_TOOLS,
    isIsolated: false,
    ...choice,
  },
  ...spec,
});
