/** The settings that hold for one OpenClaw agent: its own in `agents`, otherwise those of all. */
import type { Config, EngineSetting } from "./schema.ts";

/** The folders that `agents` names, as they are written there. */
export const agentWorkspaces = ({ agents }: Pick<Config, "agents">): string[] =>
  Object.values(agents).flatMap(({ workspace }) => workspace ?? []);

/** The default workspace of an agent's conversations. @param agent null for a conversation without one */
export const workspaceOf = (agent: string | null, config: Pick<Config, "agents" | "workspace">): string =>
  own(agent, config)?.workspace ?? config.workspace;

/** The engine setting of an agent's conversations. @param agent null for a conversation without one */
export const engineOf = (agent: string | null, config: Pick<Config, "agents" | "engine">): EngineSetting =>
  own(agent, config)?.engine ?? config.engine;

/** The setting of Claude's own tools in an agent's conversations. @param agent null for a conversation without one */
export const claudeToolsOf = (
  agent: string | null,
  config: Pick<Config, "agents" | "claudeTools">,
): readonly string[] => own(agent, config)?.claudeTools ?? config.claudeTools;

/** Whether the configuration names this engine, for all conversations or for an agent's. */
export const namesEngine = (engine: EngineSetting, config: Pick<Config, "agents" | "engine">): boolean =>
  [null, ...Object.keys(config.agents)].some((agent) => engineOf(agent, config) === engine);

/** An agent's name comes from a request, so that it may also be `constructor`. */
const own = (agent: string | null, { agents }: Pick<Config, "agents">) =>
  agent !== null && Object.hasOwn(agents, agent) ? agents[agent] : undefined;
