/**
 * Fingerprints: hashes by which a message is recognised when the client sends it again. They ignore the changes that
 * clients make without changing the meaning, such as line ends and timestamps.
 */
import { withoutTimestamp } from "./timestamp.ts";

/** Separates the hash of a message's text from the hash of its images and files. */
const ATTACHMENTS = "+";

/**
 * The fingerprint of a user's message. Line ends, composed or decomposed accents and a timestamp in front do not change
 * it.
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

/** The part of a fingerprint that depends on the text. Many clients send images and files only with a new message. */
export const textFingerprint = (fingerprint: string): string => fingerprint.split(ATTACHMENTS, 1)[0] ?? fingerprint;

/**
 * The fingerprint of an assistant's answer. White space is ignored, because clients join the messages of an answer in
 * different ways; so are the blocks in which clients keep what was sent as reasoning.
 * @returns empty for an answer without text
 */
export function answerFingerprint(text: string): string {
  const answer = withoutBlocks(withoutBlocks(text, '<details type="reasoning"', "</details>"), "<think>", "</think>");
  const plain = composed(answer).replace(/\s+/g, "");
  return plain === "" ? "" : hash(plain);
}

/** A text in the form in which texts are compared: LF line ends, composed accents, no timestamp, no outer white space. */
export const plainText = (text: string): string =>
  withoutTimestamp(composed(text.replace(/\r\n?/g, "\n")).trim()).trim();

/** A longer text is compared without composing its accents, which takes 0.1 s for a million characters. */
const MAX_COMPOSED_LENGTH = 100_000;
/** No script puts more than 30 marks on a letter, the limit of Unicode's Stream-Safe Text Format. */
const MARK_RUN = /(\p{M}{31,})/u;

/**
 * The text with composed accents. A long run of marks stays the same, because sorting it takes quadratic time: 64 kB of
 * marks would stop the server for half a minute.
 */
export function composed(text: string): string {
  if (text.length > MAX_COMPOSED_LENGTH) return text;
  return text
    .split(MARK_RUN)
    .map((segment, at) => (at % 2 === 0 ? segment.normalize("NFC") : segment))
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
