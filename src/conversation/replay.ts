/** Answers a request from Claude's transcript, when its client sends it again because the answer was lost on its way. */
import { getLogger } from "@logtape/logtape";
import { answerUsage } from "../claude/token-usage.ts";
import { readTurn } from "../claude/transcript/reader.ts";
import { unfenced } from "../turn/code-fence.ts";
import type { ResponseStream } from "../turn/response-stream.ts";
import { NO_ANSWER } from "../turn/turn-state.ts";
import type { ConversationRecord } from "./record.ts";

const log = getLogger(["synthesis", "conversation"]);

/**
 * Gives the answer of a turn again.
 * @param turn the id of the turn
 * @returns false when the transcript does not have the answer, so that Claude has to answer again
 */
export async function replayAnswer(
  turn: string,
  record: ConversationRecord,
  response: ResponseStream,
  session: string,
): Promise<boolean> {
  const transcript = await record.transcript();
  if (transcript === null) return false;
  const found = await readTurn(transcript, turn, 0).catch((error) => {
    log.warning("transcript not readable: {error}", { session, error });
    return null;
  });
  if (!found) return false;
  log.info("answer repeated from the transcript", { session, turn });
  record.markAnswered(turn);
  response.processOrigin = "warm";
  const usage = answerUsage(found.calls, { after: null, end: null });
  if (response.heldText !== null) {
    // The answer was JSON, and was checked when it was given first.
    if (usage) response.push({ type: "usage", usage });
    response.endHeld(unfenced(found.texts.at(-1) ?? NO_ANSWER));
    return true;
  }
  response.push({ type: "text", text: found.texts.join("\n\n") || NO_ANSWER });
  response.push({ type: "finish" });
  if (usage) response.push({ type: "usage", usage });
  response.close();
  return true;
}
