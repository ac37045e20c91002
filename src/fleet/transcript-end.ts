/** Waits until Claude Code has written an answer into its transcript, which it does up to a tenth of a second later. */
import { existsSync, statSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { readRows } from "../claude/transcript/file.ts";
import { parseRow } from "../claude/transcript/rows.ts";
import type { Clock } from "../core/clock.ts";
import { watchChanges } from "../core/watch-file.ts";

const log = getLogger(["synthesis", "fleet"]);

/** How long to wait, in ms. An answer that is not there by then is not coming: it was interrupted, or has no text. */
const DEADLINE_MS = 1_000;
/** So much of the end of a transcript is read. A longer last row is an answer, or an image that Claude was sent. */
const READ_BYTES = 256 * 1024;

/** @param transcript the path; null when Claude Code has written none */
export async function whenAnswerIsWritten(transcript: string | null, clock: Clock): Promise<void> {
  if (transcript === null || !existsSync(transcript)) return;
  const expired = Promise.withResolvers<void>();
  let isExpired = false;
  const cancel = clock.after(DEADLINE_MS, () => {
    isExpired = true;
    expired.resolve();
  });
  let changed = Promise.withResolvers<void>();
  const watch = watchChanges(transcript, () => changed.resolve());
  try {
    while (!isExpired && !(await endsWithAnswer(transcript))) {
      await Promise.race([changed.promise, expired.promise]);
      changed = Promise.withResolvers();
    }
  } catch (error) {
    // What is not recorded then is left out with a warning as well.
    log.warning("the end of a transcript is not readable: {error}", { error });
  } finally {
    cancel();
    watch.close();
  }
}

/** Whether the last message in a transcript is one of the model that calls no tool. */
async function endsWithAnswer(transcript: string): Promise<boolean> {
  const { size } = statSync(transcript);
  const rows = (await readRows(transcript, Math.max(0, size - READ_BYTES))) ?? "";
  for (const line of rows.split("\n").toReversed()) {
    const row = parseRow(line);
    // What subagents say is no part of the answer.
    if (row?.type !== "user" && row?.type !== "assistant") continue;
    if (row.isSidechain) continue;
    return row.type === "assistant" && !row.message.content.some(({ type }) => type === "tool_use");
  }
  return true;
}
