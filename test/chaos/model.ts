/** What must become of a message, by its schedule alone. */
import type { Orders } from "./orders.ts";
import type { Ask, Round, Schedule } from "./schedule.ts";

export interface Expected {
  readonly end: "answered" | "failed" | "left";
  /** With one of these errors; `broken` when the server dies with it. */
  readonly errors: readonly string[];
  /** claude has it afterwards. */
  readonly told: boolean;
}

const ANSWERED: Expected = { end: "answered", errors: [], told: true };
const failed = (told: boolean, ...errors: string[]): Expected => ({ end: "failed", errors, told });

/** Whether the answer is complete while claude is held. */
export const isAnsweredAt = ({ hold, stop, end }: Orders, mode: Schedule["mode"]): boolean =>
  end === "answers" && (hold === "stopped" ? stop !== "lost" || mode === "tool" : hold === "spoken" && mode === "tool");

/** Of a round's own messages. @param failure what the client is told of a model that fails */
export function expectedOf({ orders, fault }: Ask, { blow }: Round, { mode }: Schedule, failure: string): Expected {
  const { deaf, hold, end } = orders;
  if (deaf === "always") return failed(false, "message_not_received");
  const isAnswered = isAnsweredAt(orders, mode);
  switch (fault) {
    case "kill":
    case "term":
      return isAnswered ? ANSWERED : failed(hold !== "inbound", "claude_exited");
    case "lose":
      if (hold === "inbound") return failed(false, "message_not_received");
      break;
    case "leave":
      return { end: "left", errors: [], told: true };
    case "interrupt":
      return failed(true, "turn_interrupted");
  }
  if (blow === "kill server" && hold !== null) return isAnswered ? ANSWERED : failed(true, "broken");
  if (end === "fails") return failed(true, failure);
  if (end === "answers") return ANSWERED;
  return blow === "end server" && hold !== null
    ? failed(true, "turn_timeout", "shutting_down")
    : failed(true, "turn_timeout");
}

/** Of the messages that are sent behind one that is held. */
export function expectedBehind({ blow }: Round, place: number): Expected {
  if (place >= 16) return failed(false, "queue_full");
  switch (blow) {
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
