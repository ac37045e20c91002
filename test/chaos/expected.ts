/** The expected outcome of each message, computed from the schedule alone. */
import type { Orders } from "./orders.ts";
import type { PlannedMessage, Round, Schedule } from "./schedule.ts";

export interface Expected {
  readonly end: "answered" | "failed" | "left";
  /** The error codes that are allowed; `broken` when the server is killed and the connection breaks. */
  readonly errors: readonly string[];
  /** Claude has the message in its record afterwards. */
  readonly delivered: boolean;
}

const ANSWERED: Expected = { end: "answered", errors: [], delivered: true };
const failed = (delivered: boolean, ...errors: string[]): Expected => ({ end: "failed", errors, delivered });

/** Whether the client has its complete answer while Claude is held at its point. */
export const isAnsweredAt = ({ hold, stop, end }: Orders, mode: Schedule["mode"]): boolean =>
  end === "answers" && (hold === "stopped" ? stop !== "lost" || mode === "tool" : hold === "spoken" && mode === "tool");

/** The outcome of a round's own message. @param failure the error code that the client gets when the model fails */
export function expectedOutcome(
  { orders, fault }: PlannedMessage,
  { serverFault }: Round,
  { mode }: Schedule,
  failure: string,
): Expected {
  const { ignoresMessage, hold, end } = orders;
  if (ignoresMessage === "always") return failed(false, "message_not_received");
  const isAnswered = isAnsweredAt(orders, mode);
  switch (fault) {
    case "kill":
    case "term":
    case "half line":
      return isAnswered ? ANSWERED : failed(hold !== "inbound", "claude_exited");
    case "lose":
      if (hold === "inbound") return failed(false, "message_not_received");
      break;
    case "freeze":
      if (hold === "inbound") return failed(false, "message_not_received");
      return failed(true, "turn_timeout");
    case "close input":
    case "close output":
      return failed(true, "turn_timeout", "claude_exited");
    case "leave":
      return { end: "left", errors: [], delivered: true };
    case "interrupt":
      return failed(true, "turn_interrupted");
  }
  if (serverFault === "kill server" && hold !== null) return isAnswered ? ANSWERED : failed(true, "broken");
  if (end === "fails") return failed(true, failure);
  if (end === "answers") return ANSWERED;
  return serverFault === "end server" && hold !== null
    ? failed(true, "turn_timeout", "shutting_down")
    : failed(true, "turn_timeout");
}

/** The outcome of a message that is queued behind a held one. @param position its position in the queue, from 0 */
export function expectedQueued({ serverFault }: Round, position: number): Expected {
  if (position >= 16) return failed(false, "queue_full");
  switch (serverFault) {
    case "kill server":
      return failed(false, "broken");
    case "end server":
      return failed(false, "shutting_down");
    case "lock database":
    case "fill disk":
      return failed(false, "database_unavailable", "internal_error");
    default:
      return ANSWERED;
  }
}
