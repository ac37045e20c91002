/**
 * Generates a schedule from a seed: the messages of a few conversations, how Claude handles each, and which faults
 * strike when. Rounds run one after the other; the messages of a round are sent at the same time.
 */
import fc from "fast-check";
import type { Engine } from "../../src/claude/agent-process.ts";
import { feasible, forRealClaude } from "./feasible.ts";
import type { Orders, Point } from "./orders.ts";

/**
 * A fault in one conversation, injected when Claude has reached the point at which its orders hold it.
 * - `kill`, `term`: claude gets the signal
 * - `drop`, `lose`, `stall`: what happens to the plugin's socket, see `Command`
 * - `close input`, `close output`, `half line`: what happens to stdin and stdout, see `Command`
 * - `freeze`: claude stops for good without exiting
 * - `leave`: the client disconnects
 * - `interrupt`: a control request interrupts the turn
 */
type Fault =
  | "kill"
  | "term"
  | "drop"
  | "lose"
  | "stall"
  | "close input"
  | "close output"
  | "half line"
  | "freeze"
  | "leave"
  | "interrupt";
const FAULTS: Readonly<Record<Engine, readonly Fault[]>> = {
  interactive: ["kill", "term", "drop", "lose", "stall", "leave", "interrupt"],
  stream: ["kill", "term", "close input", "close output", "half line", "freeze", "leave", "interrupt"],
};
/** A fault of the whole server, injected when every Claude has reached its point. It lasts until the round ends. */
export type ServerFault = "kill server" | "end server" | "lock database" | "fill disk" | "clock forward" | "clock back";

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
  readonly engine: Engine;
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
  noise: often<Orders["noise"]>("none", "garbage", "another turn", "unknown request", "split lines"),
  asksPermission: often(false, true),
});

const ask = (engine: Engine): fc.Arbitrary<PlannedMessage> =>
  fc.record({
    conversation: fc.nat(2),
    orders,
    fault: fc.oneof(fc.constant(null), fc.constantFrom(...FAULTS[engine])),
    queued: fc.oneof(
      { weight: 12, arbitrary: fc.constant(0) },
      { weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) },
      fc.constant(TOO_MANY),
    ),
    stream: fc.boolean(),
    onFailure: fc.constantFrom("again", "forget", "with next"),
  });

const round = (engine: Engine): fc.Arbitrary<Round> =>
  fc.record({
    messages: fc.uniqueArray(ask(engine), {
      minLength: 1,
      maxLength: 3,
      selector: ({ conversation }) => conversation,
    }),
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

/** @param mostSpares the highest number of prewarmed processes @param claudes what runs the schedule */
export const schedules = (mostSpares: number, claudes: "stand-ins" | "real", engine: Engine): fc.Arbitrary<Schedule> =>
  fc
    .record({
      engine: fc.constant(engine),
      mode: fc.oneof(
        { weight: 3, arbitrary: fc.constant("live" as const) },
        { weight: 1, arbitrary: fc.constant("tool" as const) },
      ),
      maxProcesses: fc.integer({ min: 1, max: 3 }),
      spares: fc.nat(mostSpares),
      shortIdleKill: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
      clients: fc.array(fc.constantFrom("alone" as const, "whole" as const), { minLength: 3, maxLength: 3 }),
      rounds: fc.array(round(engine), { minLength: 1, maxLength: 5 }),
    })
    .map((schedule) => feasible(claudes === "real" ? forRealClaude(schedule) : schedule));
