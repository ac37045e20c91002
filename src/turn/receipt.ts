/**
 * Sends the turn's message until Claude has received it. When the receipt is late, the transcript shows whether only
 * the hook was lost. If not, and Claude is not busy with something else, the message is sent once more.
 */

import { getLogger } from "@logtape/logtape";
import type { MessageContent } from "../core/dialogue.ts";
import { RequestError } from "../core/errors.ts";
import type { TurnContext } from "./turn-context.ts";
import type { TurnParts } from "./turn-loop.ts";
import { awaitsReceipt } from "./turn-state.ts";

const log = getLogger(["synthesis", "turn"]);

interface OutgoingMessage {
  readonly content: MessageContent;
  /** Attributes of the message's channel tag that name its files. */
  readonly attachments: Readonly<Record<string, string>>;
}

export class Receipt {
  readonly #turn: TurnContext;
  readonly #message: OutgoingMessage;
  readonly #parts: Pick<TurnParts, "transcript" | "deadlines" | "idleWatch">;
  #wasSentAgain = false;

  constructor(
    turn: TurnContext,
    message: OutgoingMessage,
    parts: Pick<TurnParts, "transcript" | "deadlines" | "idleWatch">,
  ) {
    this.#turn = turn;
    this.#message = message;
    this.#parts = parts;
  }

  /**
   * Sends the message. False when the plugin is not connected.
   * @param again Claude never took the message, so the plugin must pass its id on a second time
   */
  send(again = false): boolean {
    const { process, id, sessionKey } = this.#turn;
    return process.send(id, sessionKey, this.#message.content, this.#message.attachments, again);
  }

  /** Sends the message to a plugin that has reconnected: the old socket may have dropped with the message in it. */
  sendAfterReconnect(): void {
    // The plugin drops a message id that it has passed on before.
    if (this.#turn.state().phase === "sent") this.send();
  }

  /** Looks for the receipt in the transcript. */
  async find(): Promise<void> {
    const promptId = await this.#parts.transcript.findPrompt();
    if (promptId === null || !awaitsReceipt(this.#turn.state())) return;
    const sentAt = this.#parts.idleWatch.lastWork;
    this.#turn.dispatch({ type: "receipt", promptId });
    // When Claude started on the message is unknown. If it has gone idle since the message was sent, it has finished.
    if (this.#turn.state().phase === "running") this.#parts.idleWatch.noteWork(sentAt);
    this.#parts.idleWatch.check();
  }

  /** The receipt is late: Claude is busy with something else, the hook was lost, or the message was. */
  async handleTimeout(): Promise<void> {
    const { process, id, sessionKey } = this.#turn;
    await this.find();
    if (await this.#parts.idleWatch.findRefusal()) return;
    if (!awaitsReceipt(this.#turn.state())) return;
    if (process.status?.status === "busy" && this.#parts.deadlines.hasTimeLeft) {
      // The message waits in Claude's own queue.
      this.#parts.deadlines.arm();
    } else if (this.#turn.state().phase === "sent" && !this.#wasSentAgain && this.send(true)) {
      this.#wasSentAgain = true;
      log.warning("no receipt, message sent again", { session: sessionKey, turn: id });
      this.#parts.deadlines.arm();
    } else {
      // A Claude that keeps running could still take the message later, when no client waits for the answer.
      void process.stop();
      const message = "Claude Code did not receive the message. Send it again.";
      this.#turn.dispatch({
        type: "fail",
        error: new RequestError("message_not_received", message, { retryAfter: 1 }),
      });
    }
  }
}
