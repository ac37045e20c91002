/**
 * Recognises a retry: a request that a client sends again because its answer was lost. A retry has the same new messages
 * in the same order behind the same history. When a person sends the same text twice, the second request has the answer
 * to the first one in its history, so it is not a retry.
 */
import { MAX_COMPARED, quotations } from "../api/openclaw/retry.ts";
import { plainId } from "../core/tools.ts";
import { messageFingerprint } from "./fingerprint.ts";
import type { NewMessage } from "./new-message.ts";
import type { TurnRequest } from "./turn-request.ts";

type ComparedRequest = Pick<TurnRequest, "input" | "traceId" | "model" | "effort" | "offer" | "sender">;

export interface RequestFingerprint {
  /** The fingerprints of the new messages, without what OpenClaw adds to a retry. */
  readonly messages: readonly string[];
  /** The fingerprints of the users' messages among them. */
  readonly users: ReadonlySet<string>;
  /** One hash of the history, the sender, the model, the effort and the tools. */
  readonly context: bigint;
  readonly traceId: string | null;
}

export const requestFingerprint = (request: ComparedRequest): RequestFingerprint => ({
  messages: messageFingerprints(request.input.messages),
  users: new Set(request.input.newFingerprints),
  context: contextFingerprint(request),
  traceId: request.traceId,
});

/** Whether `request` is a retry of the request with this fingerprint. */
export function isRetry(request: ComparedRequest, first: RequestFingerprint): boolean {
  const messages = messageFingerprints(request.input.messages);
  const isSame =
    Bun.deepEquals(messages, first.messages) ||
    (isSameRun(request, first) &&
      Bun.deepEquals(messageFingerprints(withoutQuotations(request, first)), first.messages));
  // Last, because the history may be long: the new messages decide for most requests.
  return isSame && contextFingerprint(request) === first.context;
}

/** OpenClaw uses one trace id for a run and its retries. In another run, the text behind a quotation is a new message. */
const isSameRun = ({ traceId }: ComparedRequest, first: RequestFingerprint): boolean =>
  traceId !== null && traceId === first.traceId;

/**
 * The new messages, with a message that quotes texts of the first request replaced by these texts. A message that
 * contains any other text stays the same.
 */
const withoutQuotations = ({ input }: ComparedRequest, { users }: RequestFingerprint): readonly NewMessage[] => {
  let left = MAX_COMPARED;
  return input.messages.flatMap((message): readonly NewMessage[] => {
    if (message.role === "tool" || message.kind !== "quoting" || users.has(message.fingerprint)) return [message];
    const fingerprints: string[] = [];
    let rest = message.text;
    while (fingerprints.length <= users.size && !users.has(messageFingerprint(rest))) {
      const splits = quotations(rest, left);
      left -= splits.reduce((sum, { earlier }) => sum + earlier.length, rest.length);
      const split = splits.find(({ earlier }) => users.has(messageFingerprint(earlier)));
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

function contextFingerprint({ input, sender, model, effort, offer }: ComparedRequest): bigint {
  const parts = [
    sender ?? "",
    model ?? "",
    effort ?? "",
    JSON.stringify([...offer.catalogue.keys()].sort()),
    ...input.history.flatMap(({ role, text, fingerprints }) => [role, text, fingerprints.join()]),
  ];
  return parts.reduce((seed, part) => Bun.hash.wyhash(part, seed), 0n);
}
