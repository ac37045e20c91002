/**
 * From a seed comes a schedule: what is said in a few conversations, what claude does with it, and what goes wrong
 * where. Rounds follow each other; what a round says, it says at once.
 */
import fc from "fast-check";
import type { Orders, Point } from "./orders.ts";

/**
 * What goes wrong in one conversation, when claude has come to the point that its orders hold.
 * - `kill`, `term`: claude gets the signal
 * - `drop`, `lose`, `stall`: its plugin's socket, see `Word`
 * - `leave`: the client hangs up
 * - `interrupt`: somebody else ends the turn
 */
export type Fault = "kill" | "term" | "drop" | "lose" | "stall" | "leave" | "interrupt";
/** What goes wrong for all of them, when all have come to their points, until the round is over. */
type Blow = "kill server" | "end server" | "lock database" | "fill disk" | "clock forward" | "clock back";

export interface Ask {
  readonly conversation: number;
  readonly orders: Orders;
  readonly fault: Fault | null;
  /** So many messages are sent behind it while it is held. */
  readonly behind: number;
  readonly stream: boolean;
  /** What the client does when it gets no answer: says it again, forgets it, or says it again with the next. */
  readonly otherwise: "again" | "forget" | "with next";
}

export interface Round {
  readonly asks: readonly Ask[];
  readonly blow: Blow | null;
}

export interface Schedule {
  readonly mode: "live" | "tool";
  readonly maxProcesses: number;
  readonly spares: number;
  /** Idle claudes are ended soon. */
  readonly restless: boolean;
  /** Whether a client sends all that was said before with each message. */
  readonly clients: readonly ("alone" | "whole")[];
  readonly rounds: readonly Round[];
}

/** One more than may wait in a conversation. */
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
  deaf: fc.oneof(
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
    fc.constantFrom("hangs" as const, "is stubborn" as const),
  ),
  hold: fc.constantFrom<Point>("inbound", "taken", "received", "spoken", "stopped"),
});

const ask: fc.Arbitrary<Ask> = fc.record({
  conversation: fc.nat(2),
  orders,
  fault: fc.oneof(
    fc.constant(null),
    fc.constantFrom<Fault>("kill", "term", "drop", "lose", "stall", "leave", "interrupt"),
  ),
  behind: fc.oneof(
    { weight: 12, arbitrary: fc.constant(0) },
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) },
    fc.constant(TOO_MANY),
  ),
  stream: fc.boolean(),
  otherwise: fc.constantFrom("again", "forget", "with next"),
});

const round: fc.Arbitrary<Round> = fc.record({
  asks: fc.uniqueArray(ask, { minLength: 1, maxLength: 3, selector: ({ conversation }) => conversation }),
  blow: fc.oneof(
    { weight: 6, arbitrary: fc.constant(null) },
    fc.constantFrom<Blow>("kill server", "end server", "lock database", "fill disk", "clock forward", "clock back"),
  ),
});

/** Only Linux lets one process have no more room on its disk. */
const fitsHere = (blow: Blow | null): Blow | null =>
  blow === "fill disk" && process.platform !== "linux" ? "lock database" : blow;

/** @param mostSpares how many claudes may be started ahead. @param claudes who plays it */
export const schedules = (mostSpares: number, claudes: "stand-ins" | "real"): fc.Arbitrary<Schedule> =>
  fc
    .record({
      mode: fc.oneof(
        { weight: 3, arbitrary: fc.constant("live" as const) },
        { weight: 1, arbitrary: fc.constant("tool" as const) },
      ),
      maxProcesses: fc.integer({ min: 1, max: 3 }),
      spares: fc.nat(mostSpares),
      restless: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
      clients: fc.array(fc.constantFrom("alone" as const, "whole" as const), { minLength: 3, maxLength: 3 }),
      rounds: fc.array(round, { minLength: 1, maxLength: 5 }),
    })
    .map((schedule) => possible(claudes === "real" ? forRealClaude(schedule) : schedule));

/** What the real claude can be made to do by its model and by signals, and no more of it than a minute allows. */
const forRealClaude = (schedule: Schedule): Schedule => ({
  ...schedule,
  mode: "live",
  maxProcesses: Math.min(schedule.maxProcesses, 2),
  rounds: schedule.rounds.slice(0, 3).map(({ asks, blow }) => ({
    blow,
    asks: asks.map((one): Ask => {
      const { fault, behind, orders } = one;
      const { count } = orders.messages[0] ?? { count: 1 };
      return {
        ...one,
        fault: fault === "drop" || fault === "stall" ? "lose" : fault,
        behind: Math.min(behind, 2),
        orders: {
          ...orders,
          deaf: "never",
          receipt: "once",
          messages: [{ count, order: [...Array(count).keys()] }],
          stop: "once",
          end: orders.end === "is stubborn" ? "answers" : orders.end,
          // A model that fails does so before it says anything.
          hold: orders.hold === "spoken" && orders.end !== "fails" ? "spoken" : "received",
        },
      };
    }),
  })),
});

/** The schedule without what cannot be. */
function possible(schedule: Schedule): Schedule {
  const rounds = schedule.rounds.map(({ asks, blow: any }): Round => {
    const blow = fitsHere(any);
    // A message that is held keeps its claude, and those that wait for one would wait for ever.
    const fitting = asks.slice(0, schedule.maxProcesses).map((one) => possibleAsk(one, blow, schedule));
    // What is said while nothing can be written down is said behind one that is held.
    const probes = blow === "lock database" || blow === "fill disk";
    const probed = fitting.map((one) =>
      probes && one.orders.hold && one.behind === 0 && schedule.clients[one.conversation] === "alone"
        ? { ...one, behind: 1 }
        : one,
    );
    return { asks: probed, blow };
  });
  return { ...schedule, rounds };
}

function possibleAsk(ask: Ask, blow: Blow | null, { mode, clients }: Schedule): Ask {
  let { fault, behind, orders } = ask;
  let { deaf, receipt, messages, stop, end, hold } = orders;
  if (blow) {
    fault = null;
    // The others are held until all have come, and that must not take longer than a turn may be silent.
    deaf = "never";
    if (hold === null && end !== "fails") end = "answers";
  }
  if (mode === "tool") {
    messages = messages.map(({ count }) => ({ count, order: [0] }));
    // The reply tool returns before claude stops.
    if (stop === "early") stop = "once";
  }
  // Of a message that no hook shows only the record tells, and that comes too late for one with others behind it.
  messages = messages.map((one, at) =>
    at < messages.length - 1 && one.order.length === 0 ? { ...one, order: [0] } : one,
  );
  if (deaf !== "never") {
    fault = null;
    hold = null;
  }
  if (fault === "leave" || fault === "interrupt") {
    end = "answers";
    // In tool mode the answer is complete with its last reply; in live mode with `Stop`.
    if (hold === "stopped" || (hold === "spoken" && mode === "tool")) hold = "received";
  }
  // A blow falls on turns that run, or are about to be seen to.
  const isTime = blow === "clock forward" || blow === "clock back";
  if (blow && hold !== "spoken" && hold !== null) hold = isTime && hold === "taken" ? "taken" : "received";
  // Who neither answers nor fails comes no further.
  if (end !== "answers" && end !== "fails" && (hold === "spoken" || hold === "stopped")) hold = "received";
  if (end === "fails" && hold === "stopped") hold = "spoken";
  if (end !== "answers" || hold === "spoken") stop = stop === "early" ? "once" : stop;
  if (end !== "answers") stop = "once";
  if (behind > 0 && (hold === "inbound" || hold === "taken" || hold === "stopped")) hold = "received";
  // Without its plugin claude cannot reply in tool mode, and nobody would wait for it.
  if (fault === "lose" && mode === "tool" && hold !== "inbound") {
    end = "answers";
    hold = "spoken";
  }
  // All that a client says with a message that it has not got the answer to is a question of its own.
  if (hold === null || clients[ask.conversation] === "whole") behind = 0;
  if (fault === null && !blow && behind === 0) hold = null;
  if (hold === null) fault = null;
  // An answer that is not streamed waits for the end of its turn.
  const stream = ask.stream || (mode === "tool" && blow !== null);
  return { ...ask, fault, behind, stream, orders: { deaf, receipt, messages, stop, end, hold } };
}
