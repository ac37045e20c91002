/**
 * Removes a repeated prefill from an answer. The client has begun the answer, and Claude is asked for the continuation
 * only, but models often start again from the beginning. The client has that text already.
 */

import type { ResponsePart } from "../core/response-part.ts";

/**
 * Removes `prefill` from the start of an answer that repeats all of it. Text is held back only while it may still turn
 * out to be the repetition.
 * @param prefill the prefill, not blank
 */
export async function* withoutPrefillEcho(
  answer: AsyncIterable<readonly ResponsePart[]>,
  prefill: string,
): AsyncGenerator<readonly ResponsePart[]> {
  const repeated = prefill.trimEnd();
  const endsWithBlanks = repeated.length < prefill.length;
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
    // The answer may repeat the blanks at the end of `prefill` in another form.
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
