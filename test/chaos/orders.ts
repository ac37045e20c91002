/**
 * What a stand-in is told to do with a message, and how it asks. It asks with every message; where its orders say
 * `hold`, it says that it is there and waits for word. So whoever gives the orders decides what happens when, and
 * nothing happens at a time.
 */

/** Places in a turn, in their order. */
const POINTS = ["inbound", "taken", "received", "spoken", "stopped"] as const;
/**
 * - `inbound`: the message is there, claude has not taken it
 * - `taken`: claude has recorded it, its hook has not said so
 * - `received`: the hook has
 * - `spoken`: the text is out
 * - `stopped`: `Stop` is out
 */
export type Point = (typeof POINTS)[number];

export interface Orders {
  /** The message is not taken: when it comes first, or ever. */
  readonly deaf: "never" | "once" | "always";
  /** `late`: behind the text. */
  readonly receipt: "once" | "twice" | "late" | "lost";
  /** Its messages. The pieces of each in the order of their hooks; some may be missing or come twice. */
  readonly messages: readonly { readonly count: number; readonly order: readonly number[] }[];
  /** `early`: in front of the text. */
  readonly stop: "once" | "twice" | "early" | "lost";
  /**
   * - `fails`: `StopFailure` instead of `Stop`
   * - `hangs`: works until Escape
   * - `is stubborn`: works until it is killed
   */
  readonly end: "answers" | "fails" | "hangs" | "is stubborn";
  readonly hold: Point | null;
}

/**
 * - `drop`: the socket is lost and comes back
 * - `lose`: the plugin dies
 * - `stall`: the socket stays, and nothing comes through, until the server gives it up
 * - `escape`: nothing more is done until Escape
 */
export type Word = "go on" | "drop" | "lose" | "stall" | "escape";

export const PLAIN: Orders = {
  deaf: "never",
  receipt: "once",
  messages: [{ count: 1, order: [0] }],
  stop: "once",
  end: "answers",
  hold: null,
};

export const MESSAGE_IDS = /#\w+/g;

/** The texts of an answer, message by message and piece by piece: first of all whatever claude has been told. */
export const answerOf = (told: readonly string[], { messages }: Orders, mode: "live" | "tool"): string[][] =>
  messages.map(({ count }, message) =>
    Array.from({ length: count }, (_, piece) => {
      const line = message + piece === 0 ? `heard ${told.map((id) => id.slice(1)).join(" ")}` : `${message} ${piece}`;
      return mode === "tool" ? line : `${line}\n`;
    }),
  );

/** The answer as a client gets it. */
export const wholeAnswer = (texts: readonly string[][], mode: "live" | "tool"): string =>
  mode === "tool" ? texts.flat().join("\n\n") : texts.map((pieces) => pieces.join("")).join("\n");

/** The error of a stand-in whose orders are to fail. */
export const FAILURE = "overloaded";
