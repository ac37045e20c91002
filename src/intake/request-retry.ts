/**
 * Recognises a request that a client sends again because the answer to it was lost. Equality decides: the same new
 * messages in the same order, behind the same history. A person who says the same words again has the answer to the
 * first ones in the history.
 *
 * Pure: takes two requests and says whether the second is the first one sent again.
 */

import { MAX_COMPARED, quotations } from "../api/openclaw/retry.ts";
import { plainId } from "../core/tools.ts";
import { messageFingerprint } from "./fingerprint.ts";
import type { NewMessage } from "./new-message.ts";
import type { TurnRequest } from "./turn-request.ts";

type ReadRequest = Pick<TurnRequest, "input" | "traceId" | "model" | "effort" | "offer" | "sender">;

export interface RequestFingerprint {
  /** Of the new messages, without what OpenClaw adds to a retry. */
  readonly messages: readonly string[];
  /** Of the users' words among them. */
  readonly words: ReadonlySet<string>;
  /** Of the history, the sender, the model, the effort and the tools. */
  readonly context: bigint;
  readonly traceId: string | null;
}

export const requestFingerprint = (request: ReadRequest): RequestFingerprint => ({
  messages: messageFingerprints(request.input.messages),
  words: new Set(request.input.newFingerprints),
  context: contextFingerprint(request),
  traceId: request.traceId,
});

/** Whether `request` is the one with this fingerprint, sent again. */
export function isRetry(request: ReadRequest, first: RequestFingerprint): boolean {
  const messages = messageFingerprints(request.input.messages);
  const isSame =
    Bun.deepEquals(messages, first.messages) ||
    (isSameRun(request, first) && Bun.deepEquals(messageFingerprints(unquoted(request, first)), first.messages));
  // The history may be long; for most requests the new messages have decided by now.
  return isSame && contextFingerprint(request) === first.context;
}

/** OpenClaw keeps its trace for a run and the retries of it. In another run, new words of the person's stand behind a quotation. */
const isSameRun = ({ traceId }: ReadRequest, first: RequestFingerprint): boolean =>
  traceId !== null && traceId === first.traceId;

/** The new messages with each quotation that has only words of the first request in it as these words. */
const unquoted = ({ input }: ReadRequest, { words }: RequestFingerprint): readonly NewMessage[] => {
  let left = MAX_COMPARED;
  return input.messages.flatMap((message): readonly NewMessage[] => {
    if (message.role === "tool" || message.kind !== "quoting" || words.has(message.fingerprint)) return [message];
    const fingerprints: string[] = [];
    let rest = message.text;
    while (fingerprints.length <= words.size && !words.has(messageFingerprint(rest))) {
      const splits = quotations(rest, left);
      left -= splits.reduce((sum, { earlier }) => sum + earlier.length, rest.length);
      const split = splits.find(({ earlier }) => words.has(messageFingerprint(earlier)));
      if (!split || left < 0) return [message];
      fingerprints.push(messageFingerprint(split.earlier));
      rest = split.now;
    }
    return [...new Set([...fingerprints, messageFingerprint(rest)])].map((fingerprint) => ({
      ...message,
      fingerprint,
    }));
  });
};

const messageFingerprints = (messages: readonly NewMessage[]): readonly string[] =>
  messages.flatMap((message) => {
    if (message.role === "tool") {
      const { callId, isError, fingerprint } = message;
      return [`tool ${plainId(callId)} ${isError} ${fingerprint}`];
    }
    return message.kind === "continue" ? [] : [`user ${message.fingerprint}`];
  });

function contextFingerprint({ input, sender, model, effort, offer }: ReadRequest): bigint {
  const parts = [
    sender ?? "",
    model ?? "",
    effort ?? "",
    JSON.stringify([...offer.catalogue.keys()].sort()),
    ...input.history.flatMap(({ role, text, fingerprints }) => [role, text, fingerprints.join()]),
  ];
  return parts.reduce((seed, part) => Bun.hash.wyhash(part, seed), 0n);
}
