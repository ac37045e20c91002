/**
 * The rest of an answer that the client has begun. Claude is asked for the continuation only, but models often start
 * again from the beginning. The client has that text already, so it is left out.
 */

import type { ResponsePart } from "./response-stream.ts";

/**
 * Removes `begun` from the start of an answer that repeats all of it. Text is held back only while it may still turn
 * out to be the repetition.
 * @param begun the text that the client has, not blank
 */
export async function* withoutRepeatedStart(
  answer: AsyncIterable<readonly ResponsePart[]>,
  begun: string,
): AsyncGenerator<readonly ResponsePart[]> {
  const repeated = begun.trimEnd();
  const endsWithBlanks = repeated.length < begun.length;
  /** How many characters of `repeated` the answer has repeated so far; -1 after the repetition, or without one. */
  let matched = 0;
  const release = (text: string): readonly ResponsePart[] => (text === "" ? [] : [{ type: "text", text }]);
  const take = (text: string): readonly ResponsePart[] => {
    const wanted = repeated.slice(matched, matched + text.length);
    if (!text.startsWith(wanted)) {
      const held = repeated.slice(0, matched);
      matched = -1;
      return release(held + text);
    }
    matched += wanted.length;
    if (matched < repeated.length) return [];
    // The answer may repeat the blanks at the end of `begun` in another form.
    const rest = endsWithBlanks ? text.slice(wanted.length).trimStart() : text.slice(wanted.length);
    if (rest !== "") matched = -1;
    return release(rest);
  };
  for await (const parts of answer) {
    const released = parts.flatMap((part): readonly ResponsePart[] => {
      if (matched < 0 || part.type === "progress") return [part];
      if (part.type === "text") return take(part.text);
      const held = matched < repeated.length ? repeated.slice(0, matched) : "";
      matched = -1;
      return [...release(held), part];
    });
    if (released.length > 0) yield released;
  }
}
