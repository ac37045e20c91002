/** The exact texts of a turn, and where the model was cut in the middle of one. */
import { cutsText } from "../stop-reason.ts";
import { type Row, rowsOfTurn } from "./rows.ts";

/** The text of one assistant message. */
interface RecordedText {
  readonly text: string;
  /** Why the model ended the message; null when that is not recorded. */
  readonly stopReason: string | null;
  /** What Claude Code sent the model after the message; null when nothing is recorded after it. */
  readonly next: string | null;
}

/** Whether the next message continues in the middle of this one. If a tool call was cut, its text was complete. */
const isCut = ({ stopReason, next }: RecordedText): boolean =>
  cutsText(stopReason) && !/inside a tool call/.test(next ?? "");

/** The texts of a turn's assistant messages, in order. Messages without text are left out. */
function recordedTexts(rows: Iterable<Row>): readonly RecordedText[] {
  const texts = new Map<string, RecordedText>();
  let newest: string | null = null;
  for (const row of rows) {
    if (row.type === "user" && newest !== null) {
      const last = texts.get(newest);
      const { content } = row.message;
      if (last?.next === null) texts.set(newest, { ...last, next: typeof content === "string" ? content : "" });
    }
    if (row.type !== "assistant" || row.isSidechain || row.isApiErrorMessage) continue;
    const { id, content, stop_reason } = row.message;
    const before = texts.get(id);
    const text = content.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join("");
    texts.set(id, {
      text: (before?.text ?? "") + text,
      stopReason: stop_reason ?? before?.stopReason ?? null,
      next: before?.next ?? null,
    });
    newest = id;
  }
  return [...texts.values()].filter(({ text }) => text !== "");
}

/** The texts of a turn, in order. A message that was cut and the message that continues it are one text. */
export function textsOfTurn(rows: Iterable<Row>): readonly string[] {
  const recorded = recordedTexts(rows);
  const texts: string[] = [];
  recorded.forEach(({ text }, at) => {
    const before = recorded[at - 1];
    if (before && isCut(before)) texts.push((texts.pop() ?? "") + text);
    else texts.push(text);
  });
  return texts;
}

/**
 * Whether the text that follows `shown` continues a text in the middle, so that the two must be joined without a break.
 * @param shown the texts of the turn so far, joined
 * @returns null when `jsonl` does not tell yet
 */
export const findSeam = (jsonl: string, messageId: string, shown: string): { readonly isSeam: boolean } | null =>
  seamAfter(rowsOfTurn(jsonl, messageId), shown);

/** As `findSeam`, in the rows of one turn. */
export function seamAfter(rows: Iterable<Row>, shown: string): { readonly isSeam: boolean } | null {
  const texts = recordedTexts(rows);
  let before = "";
  for (const [at, recorded] of texts.entries()) {
    before += recorded.text;
    if (before.length < shown.length) continue;
    // `shown` ends inside a message: its stream broke off, and Claude Code shows the rest as another message.
    if (before.length > shown.length) return { isSeam: before.startsWith(shown) };
    const isKnown = recorded.stopReason !== null && (recorded.next !== null || !cutsText(recorded.stopReason));
    return isKnown || at < texts.length - 1 ? { isSeam: isCut(recorded) } : null;
  }
  return null;
}
