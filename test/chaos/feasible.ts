/** Reduces generated schedules to what can happen and has a defined outcome. */
import type { PlannedMessage, Round, Schedule, ServerFault } from "./schedule.ts";

/** Only Linux can limit the file size of a process that already runs. */
const fitsHere = (serverFault: ServerFault | null): ServerFault | null =>
  serverFault === "fill disk" && process.platform !== "linux" ? "lock database" : serverFault;

/** Reduces a schedule to what the real claude can be made to do by its model and by signals, in about a minute. */
export const forRealClaude = (schedule: Schedule): Schedule => ({
  ...schedule,
  mode: "live",
  maxProcesses: Math.min(schedule.maxProcesses, 2),
  rounds: schedule.rounds.slice(0, 3).map(({ messages, serverFault }) => ({
    serverFault,
    messages: messages.map((one): PlannedMessage => {
      const { fault, queued, orders } = one;
      const isOfPlugin = fault === "drop" || fault === "stall";
      // The real claude does nothing to its own stdin and stdout.
      const isOfPipes = fault === "close input" || fault === "close output" || fault === "half line";
      const { count } = orders.messages[0] ?? { count: 1 };
      return {
        ...one,
        fault: isOfPlugin ? "lose" : isOfPipes ? "kill" : fault,
        queued: Math.min(queued, 2),
        orders: {
          ...orders,
          ignoresMessage: "never",
          receipt: "once",
          messages: [{ count, order: [...Array(count).keys()] }],
          stop: "once",
          noise: "none",
          asksPermission: false,
          end: orders.end === "ignores Escape" ? "answers" : orders.end,
          // A model that fails does so before its first text.
          hold: orders.hold === "spoken" && orders.end !== "fails" ? "spoken" : "received",
        },
      };
    }),
  })),
});

/** Removes combinations that cannot happen or have no defined outcome. */
export function feasible(schedule: Schedule): Schedule {
  const rounds = schedule.rounds.map(({ messages, serverFault: any }): Round => {
    const serverFault = fitsHere(any);
    // A held message keeps its process, so more messages than processes would never all be held.
    const fitting = messages.slice(0, schedule.maxProcesses).map((one) => feasibleMessage(one, serverFault, schedule));
    // A write failure is seen by a message that is queued behind a held one.
    const probes = serverFault === "lock database" || serverFault === "fill disk";
    const probed = fitting.map((one) =>
      probes && one.orders.hold && one.queued === 0 && schedule.clients[one.conversation] === "alone"
        ? { ...one, queued: 1 }
        : one,
    );
    return { messages: probed, serverFault };
  });
  return { ...schedule, rounds };
}

function feasibleMessage(
  ask: PlannedMessage,
  serverFault: ServerFault | null,
  { engine, mode, clients }: Schedule,
): PlannedMessage {
  let { fault, queued, orders } = engine === "stream" ? overPipes(ask, mode) : ask;
  let { ignoresMessage, receipt, messages, stop, end, hold, noise, asksPermission } = orders;
  if (serverFault) {
    fault = null;
    // Every held claude waits for the last one, which must not take longer than a turn may go without progress.
    ignoresMessage = "never";
    if (hold === null && end !== "fails") end = "answers";
  }
  if (mode === "tool") {
    messages = messages.map(({ count }) => ({ count, order: [0] }));
    // The reply tool returns before claude stops.
    if (stop === "early") stop = "once";
  }
  // A message without any delta is known only from the transcript, too late for text that follows it.
  messages = messages.map((one, at) =>
    at < messages.length - 1 && one.order.length === 0 ? { ...one, order: [0] } : one,
  );
  if (ignoresMessage !== "never") {
    fault = null;
    hold = null;
  }
  if (fault === "leave" || fault === "interrupt") {
    end = "answers";
    // In tool mode the answer is complete with its last reply; in live mode with `Stop`.
    if (hold === "stopped" || (hold === "spoken" && mode === "tool")) hold = "received";
  }
  // A server fault strikes turns that run, or whose receipt is about to be posted.
  const isTime = serverFault === "clock forward" || serverFault === "clock back";
  if (serverFault && hold !== "spoken" && hold !== null) hold = isTime && hold === "taken" ? "taken" : "received";
  // A claude that neither answers nor fails never reaches a later point.
  if (end !== "answers" && end !== "fails" && (hold === "spoken" || hold === "stopped")) hold = "received";
  if (end === "fails" && hold === "stopped") hold = "spoken";
  if (end !== "answers" || hold === "spoken") stop = stop === "early" ? "once" : stop;
  if (end !== "answers") stop = "once";
  if (queued > 0 && (hold === "inbound" || hold === "taken" || hold === "stopped")) hold = "received";
  // Without its plugin Claude cannot reply in tool mode.
  if (fault === "lose" && mode === "tool" && hold !== "inbound") {
    end = "answers";
    hold = "spoken";
  }
  // A client that sends its whole history does not send the next message before it has an answer.
  if (hold === null || clients[ask.conversation] === "whole") queued = 0;
  if (fault === null && !serverFault && queued === 0) hold = null;
  if (hold === null) fault = null;
  if (engine === "interactive") noise = "none";
  // A refused prompt leaves a note in the answer, before the text of a turn that is known.
  if (mode === "tool" || (receipt !== "once" && receipt !== "twice")) asksPermission = false;
  // A response that is not streamed is sent at the end of its turn.
  const stream = ask.stream || (mode === "tool" && serverFault !== null);
  return {
    ...ask,
    fault,
    queued,
    stream,
    orders: { ignoresMessage, receipt, messages, stop, end, hold, noise, asksPermission },
  };
}

/** Reduces a message to what can happen on pipes, which deliver everything once and in order. */
function overPipes(ask: PlannedMessage, mode: Schedule["mode"]): PlannedMessage {
  const { fault, orders } = ask;
  let { ignoresMessage, messages, stop, end, hold } = orders;
  // What a process does not read is not sent to it again.
  if (ignoresMessage === "once") ignoresMessage = "never";
  // A stream that breaks off leaves out the rest, until Claude has the whole text.
  messages = messages.map(({ count, order }) => {
    const whole = Array.from({ length: count }, (_, piece) => piece);
    const lost = whole.find((piece) => !order.includes(piece)) ?? count;
    return { count, order: whole.slice(0, lost) };
  });
  if (stop !== "lost") stop = "once";
  if (fault === "close input" || fault === "close output" || fault === "freeze") {
    end = fault === "freeze" ? "answers" : "hangs";
    // The process is lost, so the turn must not be complete.
    if (hold === "stopped" || (hold === "spoken" && (mode === "tool" || end === "hangs"))) hold = "received";
    if (hold === "inbound" && fault !== "freeze") hold = "taken";
  }
  return { ...ask, fault, orders: { ...orders, receipt: "once", ignoresMessage, messages, stop, end, hold } };
}
