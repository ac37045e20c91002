/**
 * The rest of an answer that the client has begun. Claude is asked for the continuation only, and models like to
 * start again from the beginning all the same: what the client has already is then left out.
 */
import type { ResponsePart } from "./response-stream.ts";

/**
 * An answer without the text it was begun with, if it repeats that as a whole at its start.
 * Text is held back only as long as it may be such a repetition.
 * @param begun not blank
 */
export async function* withoutRepeatedStart(
  reply: AsyncIterable<readonly ResponsePart[]>,
  begun: string,
): AsyncGenerator<readonly ResponsePart[]> {
  const repeated = begun.trimEnd();
  const endsInBlank = repeated.length < begun.length;
  /** Characters of `repeated` that have come; -1 when the answer does not repeat it, or has done so. */
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
    // The blanks at the end of what was begun are repeated with it.
    const rest = endsInBlank ? text.slice(wanted.length).trimStart() : text.slice(wanted.length);
    if (rest !== "") matched = -1;
    return release(rest);
  };
  for await (const parts of reply) {
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
