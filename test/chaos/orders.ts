/**
 * The orders for a stand-in: what it does with a message. It asks for them with every message. At the point named by
 * `hold` it reports to the orders server and waits for a command, so a test decides the order of events without timers.
 */

/** The points of a turn, in order. */
const POINTS = ["inbound", "taken", "received", "spoken", "stopped"] as const;
/**
 * - `inbound`: the plugin has the message, Claude has not taken it
 * - `taken`: Claude has recorded it, its `UserPromptSubmit` hook has not been posted
 * - `received`: that hook has been posted
 * - `spoken`: the text has been posted
 * - `stopped`: `Stop` has been posted
 */
export type Point = (typeof POINTS)[number];

export interface Orders {
  /** Whether the message is ignored: the first time, or always. */
  readonly ignoresMessage: "never" | "once" | "always";
  /** `late`: after the text. */
  readonly receipt: "once" | "twice" | "late" | "lost";
  /** The messages of the answer, and in which order the deltas of each are posted; some may be missing or come twice. */
  readonly messages: readonly { readonly count: number; readonly order: readonly number[] }[];
  /** `early`: before the text. */
  readonly stop: "once" | "twice" | "early" | "lost";
  /**
   * - `fails`: `StopFailure` instead of `Stop`
   * - `hangs`: works until Escape
   * - `ignores Escape`: works until it is killed
   */
  readonly end: "answers" | "fails" | "hangs" | "ignores Escape";
  readonly hold: Point | null;
  /** What else is written, over stream-json, before the text. */
  readonly noise: Noise;
  /** Whether there is a permission prompt before the text. */
  readonly asksPermission: boolean;
}

/**
 * Lines of stream-json that have nothing to do with the turn.
 * - `garbage`: lines of plain text, of other versions, and such that no one should parse
 * - `another turn`: the end of a turn that no message of ours caused
 * - `unknown request`: a control request that synthesis does not serve
 * - `split lines`: no such line, but from now on every line arrives in several parts
 */
export type Noise = "none" | "garbage" | "another turn" | "unknown request" | "split lines";

/**
 * - `drop`: the socket closes and reconnects
 * - `lose`: the plugin exits
 * - `stall`: the socket stays open, but nothing comes through until the server closes it
 * - `close input`: claude reads nothing more from stdin
 * - `close output`: claude writes nothing more to stdout
 * - `half line`: claude dies in the middle of a line
 * - `escape`: nothing more happens until Escape
 */
export type Command = "continue" | "drop" | "lose" | "stall" | "close input" | "close output" | "half line" | "escape";

export const DEFAULT_ORDERS: Orders = {
  ignoresMessage: "never",
  receipt: "once",
  messages: [{ count: 1, order: [0] }],
  stop: "once",
  end: "answers",
  hold: null,
  noise: "none",
  asksPermission: false,
};

export const MESSAGE_IDS = /#\w+/g;

/** The deltas of an answer, message by message. The first one lists every message that Claude has been sent. */
export const answerOf = (delivered: readonly string[], { messages }: Orders, mode: "live" | "tool"): string[][] =>
  messages.map(({ count }, message) =>
    Array.from({ length: count }, (_, piece) => {
      const line =
        message + piece === 0 ? `heard ${delivered.map((id) => id.slice(1)).join(" ")}` : `${message} ${piece}`;
      return mode === "tool" ? line : `${line}\n`;
    }),
  );

/** The answer as the client receives it. */
export const wholeAnswer = (texts: readonly string[][], mode: "live" | "tool"): string =>
  mode === "tool" ? texts.flat().join("\n\n") : texts.map((pieces) => pieces.join("")).join("\n");

/** The error code that a client gets when a stand-in has orders to fail. */
export const FAILURE = "overloaded";
