/**
 * Fingerprints: hashes by which a message is recognised when the client sends it again. They leave out what clients
 * change on the way without meaning anything by it.
 */
import { withoutTimestamp } from "./timestamp.ts";

/** Between the hash of a message's text and that of its images and files. */
const ATTACHMENTS = "+";

/**
 * The fingerprint of a user's message. It is the same with other line ends, composed and decomposed accents, and with
 * or without the time of writing in front.
 */
export function messageFingerprint(text: string, attachments: readonly { readonly url: string }[] = []): string {
  const ofText = hash(plainText(text));
  return attachments.length === 0 ? ofText : ofText + ATTACHMENTS + hash(attachments.map(({ url }) => url).join("\n"));
}

/** The fingerprint of the same message with another text; its images and files are the same. */
export function withText(fingerprint: string, text: string): string {
  const attachments = fingerprint.indexOf(ATTACHMENTS);
  return messageFingerprint(text) + (attachments < 0 ? "" : fingerprint.slice(attachments));
}

/** The part of a fingerprint that comes from the text. Many clients send images and files only with a new message. */
export const textFingerprint = (fingerprint: string): string => fingerprint.split(ATTACHMENTS, 1)[0] ?? fingerprint;

/**
 * The fingerprint of an assistant's answer. White space is left out, since an answer of several messages is joined in
 * as many ways as there are clients; so are the blocks in which a client keeps what was sent as reasoning.
 * @returns empty for an answer without text
 */
export function answerFingerprint(text: string): string {
  const said = withoutBlocks(withoutBlocks(text, '<details type="reasoning"', "</details>"), "<think>", "</think>");
  const plain = composed(said).replace(/\s+/g, "");
  return plain === "" ? "" : hash(plain);
}

/** A text as it is compared: LF line ends, composed accents, no time of writing, no outer white space. */
export const plainText = (text: string): string =>
  withoutTimestamp(composed(text.replace(/\r\n?/g, "\n")).trim()).trim();

/** In characters. Composing takes a tenth of a second for a million; a longer text is compared as it is. */
const LONGEST_COMPOSED = 100_000;
/** No script puts so many marks on a letter; Unicode's own limit for texts that can be normalised piece by piece is 30. */
const MARKS = /(\p{M}{31,})/u;

/**
 * The text with composed accents. A long run of marks stays as it is: they would be sorted in quadratic time, and 64 kB
 * of them would stop the server for half a minute.
 */
function composed(text: string): string {
  if (text.length > LONGEST_COMPOSED) return text;
  return text
    .split(MARKS)
    .map((piece, at) => (at % 2 === 0 ? piece.normalize("NFC") : piece))
    .join("");
}

function withoutBlocks(text: string, begin: string, end: string): string {
  let rest = "";
  let at = 0;
  for (let start = text.indexOf(begin); start >= 0; start = text.indexOf(begin, at)) {
    const close = text.indexOf(end, start);
    if (close < 0) break;
    rest += text.slice(at, start);
    at = close + end.length;
  }
  return at === 0 ? text : rest + text.slice(at);
}

const hash = (text: string): string => Bun.hash.wyhash(text).toString(16).padStart(16, "0");
