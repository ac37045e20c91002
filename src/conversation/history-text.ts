/** The history of a conversation as one text, for a Claude session that does not know it. */
import { labelName, quoteSpeakers } from "../core/quoting.ts";
import type { PastMessage } from "../intake/input.ts";

type HistoryEntry = Pick<PastMessage, "role" | "name" | "text">;

const SPEAKERS = { user: "User", assistant: "Assistant", tool: "Tool result", summary: "Summary" } as const;
const LEFT_OUT = "[earlier messages left out]";
const GAP = "\n\n";

/**
 * The history as one text of at most `maxChars` characters. When it is longer, the oldest messages are left out, and
 * the text says so. A summary at the beginning stays if it takes no more than half of the text.
 * @returns empty when there is no history, or no room for any of it
 */
export function historyText(history: readonly HistoryEntry[], maxChars: number): string {
  const texts = history.map(
    ({ role, name, text }) => `${name ? `[${labelName(name)}] ` : ""}${SPEAKERS[role]}: ${quoteSpeakers(text)}`,
  );
  const whole = texts.join(GAP);
  if (whole.length <= maxChars) return whole;

  const hasSummary = history[0]?.role === "summary" && (texts[0]?.length ?? 0) <= maxChars / 2;
  const head = hasSummary ? [texts[0], LEFT_OUT].join(GAP) : LEFT_OUT;
  const tail: string[] = [];
  let room = maxChars - head.length;
  for (const text of texts.slice(hasSummary ? 1 : 0).reverse()) {
    room -= text.length + GAP.length;
    if (room < 0) break;
    tail.push(text);
  }
  if (tail.length > 0) return [head, ...tail.reverse()].join(GAP);
  // Not even the last message fits. Its end is kept, since it matters most for what comes next.
  const last = texts.at(-1) ?? "";
  const kept = maxChars - head.length - GAP.length;
  return kept > 0 ? [head, last.slice(-kept)].join(GAP) : "";
}
