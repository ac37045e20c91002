/**
 * Generates a schedule from a seed: the messages of a few conversations, how Claude handles each, and which faults
 * strike when. Rounds run one after the other; the messages of a round are sent at the same time.
 */
import fc from "fast-check";
import type { Orders, Point } from "./orders.ts";

/**
 * A fault in one conversation, injected when Claude has reached the point at which its orders hold it.
 * - `kill`, `term`: claude gets the signal
 * - `drop`, `lose`, `stall`: what happens to the plugin's socket, see `Command`
 * - `leave`: the client disconnects
 * - `interrupt`: a control request interrupts the turn
 */
export type Fault = "kill" | "term" | "drop" | "lose" | "stall" | "leave" | "interrupt";
/** A fault of the whole server, injected when every Claude has reached its point. It lasts until the round ends. */
type ServerFault = "kill server" | "end server" | "lock database" | "fill disk" | "clock forward" | "clock back";

export interface PlannedMessage {
  readonly conversation: number;
  readonly orders: Orders;
  readonly fault: Fault | null;
  /** How many messages are sent after it while it is held. */
  readonly queued: number;
  readonly stream: boolean;
  /** What the client does with a message that failed: sends it again, drops it, or sends it with the next one. */
  readonly onFailure: "again" | "forget" | "with next";
}

export interface Round {
  readonly messages: readonly PlannedMessage[];
  readonly serverFault: ServerFault | null;
}

export interface Schedule {
  readonly mode: "live" | "tool";
  readonly maxProcesses: number;
  readonly spares: number;
  /** Idle processes are ended soon. */
  readonly shortIdleKill: boolean;
  /** Whether a client sends only the new message (`alone`) or the whole history with it. */
  readonly clients: readonly ("alone" | "whole")[];
  readonly rounds: readonly Round[];
}

/** One more than a conversation's queue takes. */
const TOO_MANY = 17;

const pieces = fc.integer({ min: 1, max: 4 }).chain((count) => {
  const all = Array.from({ length: count }, (_, piece) => piece);
  const one = fc.nat(count - 1);
  return fc.record({
    count: fc.constant(count),
    order: fc.oneof(
      { weight: 3, arbitrary: fc.constant(all) },
      fc.shuffledSubarray(all, { minLength: count }),
      one.map((lost) => all.filter((piece) => piece !== lost)),
      one.chain((twice) => fc.shuffledSubarray([...all, twice], { minLength: count + 1 })),
    ),
  });
});

const often = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 4 * others.length, arbitrary: fc.constant(usual) }, ...others.map((one) => fc.constant(one)));

const orders: fc.Arbitrary<Orders> = fc.record({
  ignoresMessage: fc.oneof(
    { weight: 30, arbitrary: fc.constant("never" as const) },
    { weight: 2, arbitrary: fc.constant("once" as const) },
    fc.constant("always" as const),
  ),
  receipt: often<Orders["receipt"]>("once", "twice", "late", "lost"),
  messages: fc.array(pieces, { minLength: 1, maxLength: 2 }),
  stop: often<Orders["stop"]>("once", "twice", "early", "lost"),
  end: fc.oneof(
    { weight: 20, arbitrary: fc.constant("answers" as const) },
    { weight: 3, arbitrary: fc.constant("fails" as const) },
    fc.constantFrom("hangs" as const, "ignores Escape" as const),
  ),
  hold: fc.constantFrom<Point>("inbound", "taken", "received", "spoken", "stopped"),
});

const ask: fc.Arbitrary<PlannedMessage> = fc.record({
  conversation: fc.nat(2),
  orders,
  fault: fc.oneof(
    fc.constant(null),
    fc.constantFrom<Fault>("kill", "term", "drop", "lose", "stall", "leave", "interrupt"),
  ),
  queued: fc.oneof(
    { weight: 12, arbitrary: fc.constant(0) },
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) },
    fc.constant(TOO_MANY),
  ),
  stream: fc.boolean(),
  onFailure: fc.constantFrom("again", "forget", "with next"),
});

const round: fc.Arbitrary<Round> = fc.record({
  messages: fc.uniqueArray(ask, { minLength: 1, maxLength: 3, selector: ({ conversation }) => conversation }),
  serverFault: fc.oneof(
    { weight: 6, arbitrary: fc.constant(null) },
    fc.constantFrom<ServerFault>(
      "kill server",
      "end server",
      "lock database",
      "fill disk",
      "clock forward",
      "clock back",
    ),
  ),
});

/** Only Linux can limit the file size of a process that already runs. */
const fitsHere = (serverFault: ServerFault | null): ServerFault | null =>
  serverFault === "fill disk" && process.platform !== "linux" ? "lock database" : serverFault;

/** @param mostSpares the highest number of prewarmed processes @param claudes what runs the schedule */
export const schedules = (mostSpares: number, claudes: "stand-ins" | "real"): fc.Arbitrary<Schedule> =>
  fc
    .record({
      mode: fc.oneof(
        { weight: 3, arbitrary: fc.constant("live" as const) },
        { weight: 1, arbitrary: fc.constant("tool" as const) },
      ),
      maxProcesses: fc.integer({ min: 1, max: 3 }),
      spares: fc.nat(mostSpares),
      shortIdleKill: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
      clients: fc.array(fc.constantFrom("alone" as const, "whole" as const), { minLength: 3, maxLength: 3 }),
      rounds: fc.array(round, { minLength: 1, maxLength: 5 }),
    })
    .map((schedule) => feasible(claudes === "real" ? forRealClaude(schedule) : schedule));

/** Reduces a schedule to what the real claude can be made to do by its model and by signals, in about a minute. */
const forRealClaude = (schedule: Schedule): Schedule => ({
  ...schedule,
  mode: "live",
  maxProcesses: Math.min(schedule.maxProcesses, 2),
  rounds: schedule.rounds.slice(0, 3).map(({ messages, serverFault }) => ({
    serverFault,
    messages: messages.map((one): PlannedMessage => {
      const { fault, queued, orders } = one;
      const { count } = orders.messages[0] ?? { count: 1 };
      return {
        ...one,
        fault: fault === "drop" || fault === "stall" ? "lose" : fault,
        queued: Math.min(queued, 2),
        orders: {
          ...orders,
          ignoresMessage: "never",
          receipt: "once",
          messages: [{ count, order: [...Array(count).keys()] }],
          stop: "once",
          end: orders.end === "ignores Escape" ? "answers" : orders.end,
          // A model that fails does so before its first text.
          hold: orders.hold === "spoken" && orders.end !== "fails" ? "spoken" : "received",
        },
      };
    }),
  })),
});

/** Removes combinations that cannot happen or have no defined outcome. */
function feasible(schedule: Schedule): Schedule {
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
  { mode, clients }: Schedule,
): PlannedMessage {
  let { fault, queued, orders } = ask;
  let { ignoresMessage, receipt, messages, stop, end, hold } = orders;
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
  // A response that is not streamed is sent at the end of its turn.
  const stream = ask.stream || (mode === "tool" && serverFault !== null);
  return { ...ask, fault, queued, stream, orders: { ignoresMessage, receipt, messages, stop, end, hold } };
}
