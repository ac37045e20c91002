/** What the parts of a running turn share: which turn it is, who works on it, and how they change its state. */

import type { AgentProcess } from "../claude/agent-process.ts";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../core/clock.ts";
import type { TurnEvent, TurnState } from "./turn-state.ts";

/** What a turn uses of its agent process. */
export interface TurnProcess
  extends Pick<
    AgentProcess,
    | "pid"
    | "state"
    | "status"
    | "statusRevision"
    | "lastOutputAt"
    | "stopHooks"
    | "hasOwnRetries"
    | "mayContinueAfterStop"
    | "noteOutput"
    | "reportedRows"
    | "reportedUsage"
    | "send"
    | "interrupt"
    | "stop"
    | "kill"
  > {
  readonly tools: Pick<AgentProcess["tools"], "answer">;
}

export interface TurnContext {
  /** The turn's id, which is the `message_id` in the channel's meta. */
  readonly id: string;
  readonly sessionKey: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly process: TurnProcess;
  readonly state: () => TurnState;
  /** Feeds an event to the reducer and performs its outputs. */
  readonly dispatch: (event: TurnEvent) => void;
}
