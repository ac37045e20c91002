/** The message with which OpenClaw begins a conversation whose earlier messages it has summarised. */
import { splitTimestamp } from "./timestamp.ts";

/** Whether a user message is such a summary rather than a person's message. */
export const isCompactionSummary = (text: string): boolean =>
  splitTimestamp(text)[1].startsWith(
    "The conversation history before this point was compacted into the following summary:",
  );
