/** Says which engine runs Claude Code, and why. */
import type { AgentEngine } from "../claude/engines.ts";
import { type Check, subject } from "./check.ts";

/** What another engine would give where `auto` has chosen a terminal. */
const STREAM =
  "SYNTHESIS_ENGINE=stream would show text token by token, with half the latency and less memory, but Anthropic may " +
  "bill it apart from a plan";

/** One check for all conversations, and one for each agent whose engine or reason differs. */
export function engineChecks([all, ...agents]: readonly [AgentEngine, ...AgentEngine[]]): Check[] {
  const different = agents.filter(({ engine, why }) => engine !== all.engine || why !== all.why);
  return [
    subject("engine").ok(describe(all)),
    ...different.map((one) => subject("engine", `engine of ${one.agent}`).ok(describe(one))),
  ];
}

const describe = ({ engine, reason, why }: AgentEngine): string =>
  `${engine}, because ${why}${reason === "default" ? `; ${STREAM}` : ""}`;
