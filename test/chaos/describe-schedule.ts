/** Describes a schedule for people: one line per message, with only what differs from the default. */
import type { Orders } from "./orders.ts";
import type { PlannedMessage, Schedule } from "./schedule.ts";

export function describeSchedule({
  engine,
  mode,
  maxProcesses,
  spares,
  shortIdleKill,
  clients,
  rounds,
}: Schedule): string {
  const head = `${engine}, ${mode}, ${maxProcesses} processes, ${spares} spares${shortIdleKill ? ", short idle kill" : ""}, clients ${clients}`;
  const lines = rounds.flatMap(({ messages, serverFault }, at) => [
    `round ${at + 1}: ${serverFault ?? "-"}`,
    ...messages.map(describeMessage),
  ]);
  return [head, ...lines].join("\n");
}

function describeMessage({ conversation, orders, fault, queued, stream, onFailure }: PlannedMessage): string {
  const details = [
    fault && `${fault} at ${orders.hold}`,
    !fault && orders.hold && `held at ${orders.hold}`,
    queued > 0 && `${queued} queued behind it`,
    ...describeOrders(orders),
    stream || "not streamed",
    `on failure ${onFailure}`,
  ];
  return `  c${conversation}: ${details.filter((part) => typeof part === "string").join(", ")}`;
}

const describeOrders = ({ ignoresMessage, receipt, messages, stop, end, noise, asksPermission }: Orders) => [
  ignoresMessage !== "never" && `ignores the message ${ignoresMessage}`,
  receipt !== "once" && `receipt ${receipt}`,
  stop !== "once" && `stop ${stop}`,
  end !== "answers" && end,
  noise !== "none" && noise,
  asksPermission && "permission prompt",
  `deltas ${messages.map(({ count, order }) => `${order}/${count}`).join(" ")}`,
];
