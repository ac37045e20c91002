/** From a turn request to the message that Claude receives: its text, its attachments, and what the store records of it. */
import { formatNote } from "../api/openai-chat/response-format.ts";
import type { Block } from "../core/dialogue.ts";
import { unquoteMarkup } from "../core/quoting.ts";
import { messageFingerprint, plainText } from "../intake/fingerprint.ts";
import type { Dialogue, TurnRequest } from "../intake/turn-request.ts";
import type { TurnRunnerDeps } from "../turn/runner.ts";
import { attachmentMeta } from "./attachment-meta.ts";
import { withDeliveredAsHistory } from "./delivered-input.ts";
import { type DeliveryPlan, planDelivery } from "./delivery-plan.ts";
import { changesText, contextBlock, messageText } from "./message-text.ts";
import type { ConversationRecord } from "./record.ts";
import type { SaveFile } from "./tool-results.ts";

interface MessageContext {
  readonly record: ConversationRecord;
  /** The Claude session is new, so Claude has received nothing yet. */
  readonly isFresh: boolean;
  readonly saveFile: SaveFile;
}

/** Plans what to deliver of a request, and writes the message. It also updates the record to the client's history. */
export async function prepareMessage(
  request: TurnRequest,
  { record, isFresh, saveFile }: MessageContext,
): Promise<TurnRunnerDeps["message"]> {
  const dialogue = request.dialogue?.();
  if (dialogue && record.isEphemeral) return unnamedMessage(dialogue);
  const { delivered } = record;
  const input = withDeliveredAsHistory(delivered.exchanges, request.input);
  const plan = await record.withSentTexts((sentText) =>
    planDelivery(
      delivered.all,
      { ...request, input },
      {
        isFresh,
        delivered: delivered.exchanges,
        isTruncated: delivered.isTruncated,
        sentText: (turn) => {
          const text = sentText(turn);
          return text === null ? null : plainText(unquoteMarkup(text));
        },
      },
    ),
  );
  delivered.rewrite(plan.rewritten);
  const images = plan.messages.flatMap((message) => message.images);
  const files = plan.messages.flatMap((message) => message.files);
  const notes = [request.offer.note, formatNote(request.format)].filter((note) => note !== null);
  return {
    ...(dialogue
      ? { content: isFresh ? dialogue.message : withChanges(dialogue.messageAlone(), plan), attachments: {} }
      : {
          content: messageText(plan, input.implied, notes.length === 0 ? null : notes.join("\n\n")),
          attachments: attachmentMeta(images, files, saveFile),
        }),
    // The client's history will show an empty message as such.
    fingerprints: input.implied?.kind === "empty" ? [messageFingerprint("")] : plan.users,
    isContinuation: input.implied?.kind === "continue",
    hadHistory: input.hasHistory,
    dropped: plan.dropped,
    history: plan.history,
    volatile: plan.volatile?.fingerprint ?? null,
  };
}

/** A message after what Claude should know of the messages before. */
function withChanges(message: readonly Block[], plan: DeliveryPlan): readonly Block[] {
  const changes = changesText(plan);
  return changes === null ? message : [{ type: "text", text: contextBlock(changes) }, ...message];
}

/** A message of a chat that names no conversation. The process was started with what was said before. */
const unnamedMessage = ({ message }: Dialogue): TurnRunnerDeps["message"] => ({
  content: message,
  attachments: {},
  fingerprints: [],
  isContinuation: false,
  hadHistory: false,
  dropped: 0,
  history: [],
  volatile: null,
});
