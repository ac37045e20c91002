/** A schedule as a person reads it: a line for each message, and only what is out of the ordinary. */
import type { Orders } from "./orders.ts";
import type { Ask, Schedule } from "./schedule.ts";

export function tell({ mode, maxProcesses, spares, restless, clients, rounds }: Schedule): string {
  const head = `${mode}, ${maxProcesses} processes, ${spares} spares${restless ? ", idle ones end soon" : ""}, clients ${clients}`;
  const lines = rounds.flatMap(({ asks, blow }, at) => [`round ${at + 1}: ${blow ?? "-"}`, ...asks.map(tellAsk)]);
  return [head, ...lines].join("\n");
}

function tellAsk({ conversation, orders, fault, behind, stream, otherwise }: Ask): string {
  const happens = [
    fault && `${fault} at ${orders.hold}`,
    !fault && orders.hold && `held at ${orders.hold}`,
    behind > 0 && `${behind} behind it`,
    ...tellOrders(orders),
    stream || "whole",
    `else ${otherwise}`,
  ];
  return `  c${conversation}: ${happens.filter((part) => typeof part === "string").join(", ")}`;
}

const tellOrders = ({ deaf, receipt, messages, stop, end }: Orders) => [
  deaf !== "never" && `deaf ${deaf}`,
  receipt !== "once" && `receipt ${receipt}`,
  stop !== "once" && `stop ${stop}`,
  end !== "answers" && end,
  `pieces ${messages.map(({ count, order }) => `${order}/${count}`).join(" ")}`,
];
