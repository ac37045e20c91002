/** The code fence that a model likes to put around JSON. */

const FENCE = "```";
const OPENING_FENCE = /^```\w*\s*$/;

/** The answer without the code fence around it, if there is one, and without outer white space. */
export function unfenced(answer: string): string {
  const trimmed = answer.trim();
  const firstLineEnd = trimmed.indexOf("\n");
  if (firstLineEnd < 0 || !trimmed.endsWith(FENCE) || !OPENING_FENCE.test(trimmed.slice(0, firstLineEnd)))
    return trimmed;
  const closing = trimmed.length - FENCE.length;
  return closing > firstLineEnd ? trimmed.slice(firstLineEnd + 1, closing).trim() : trimmed;
}
