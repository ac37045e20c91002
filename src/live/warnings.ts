/** What `synthesis doctor` would warn of and the server knows by itself. */
import type { Engines } from "../claude/engines.ts";
import { LOST_LOGIN_ADVICE, type Login } from "../claude/login.ts";
import type { Rejections } from "../limits/rejections.ts";
import { UsageLimitError } from "../limits/usage-limit-error.ts";
import type { LiveWarning } from "../wire/live.ts";

interface WarningDeps {
  readonly login: Pick<Login, "state">;
  readonly rejections: Rejections;
  readonly engines: Pick<Engines, "configured">;
}

export function currentWarnings({ login, rejections, engines }: WarningDeps): LiveWarning[] {
  const refused = engines.configured().find(({ reason }) => reason === "channel_refused");
  return [
    ...(login.state === "expired" ? [LOST_LOGIN] : []),
    ...rejections.current().map(({ window, resetsAt }) => ({
      id: "usage_limit.reached",
      name: "Usage limit",
      found: new UsageLimitError(window, resetsAt, Date.now()).summary,
      advice: "Messages are refused until then. Give the client another model as a fallback.",
    })),
    ...(refused ? [{ ...CHANNEL_REFUSED, found: `${refused.why}.` }] : []),
  ];
}

const LOST_LOGIN: LiveWarning = {
  id: "login.lost",
  name: "Login of Claude Code",
  found: "was lost, or rejected by the API at the last message.",
  advice: LOST_LOGIN_ADVICE,
};

const CHANNEL_REFUSED = {
  id: "engine.channel_refused",
  name: "Claude Code's channels",
  advice: "Conversations run over stream-json meanwhile. `synthesis doctor` says more.",
};
