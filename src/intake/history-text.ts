/** What was said before, as it is told to a claude that is new to a conversation. */
import { labelName, quoteSpeakers } from "../core/quoting.ts";

export interface HistoryEntry {
  readonly role: "user" | "assistant" | "tool" | "summary";
  /** Who of several speaks, or which tool; null or absent when that is not known. */
  readonly name?: string | null;
  readonly text: string;
}

const NAMES = { user: "User", assistant: "Assistant", tool: "Tool result", summary: "Summary" } as const;
const LEFT_OUT = "[earlier messages left out]";
const GAP = "\n\n";

/**
 * The history as one text of at most `maxChars` characters. The oldest messages are left out first, and
 * it says so; a summary stays if it takes no more than half.
 * @returns empty when there is nothing, or no room, to tell
 */
export function historyText(history: readonly HistoryEntry[], maxChars: number): string {
  const told = history.map(
    ({ role, name, text }) => `${name ? `[${labelName(name)}] ` : ""}${NAMES[role]}: ${quoteSpeakers(text)}`,
  );
  const whole = told.join(GAP);
  if (whole.length <= maxChars) return whole;

  const hasSummary = history[0]?.role === "summary" && (told[0]?.length ?? 0) <= maxChars / 2;
  const head = hasSummary ? [told[0], LEFT_OUT].join(GAP) : LEFT_OUT;
  const tail: string[] = [];
  let room = maxChars - head.length;
  for (const text of told.slice(hasSummary ? 1 : 0).reverse()) {
    room -= text.length + GAP.length;
    if (room < 0) break;
    tail.push(text);
  }
  if (tail.length > 0) return [head, ...tail.reverse()].join(GAP);
  // Not even the last message fits: its end says most.
  const last = told.at(-1) ?? "";
  const kept = maxChars - head.length - GAP.length;
  return kept > 0 ? [head, last.slice(-kept)].join(GAP) : "";
}
