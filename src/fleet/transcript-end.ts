/** Waits until Claude Code has written an answer into its transcript, which it does up to a tenth of a second later. */
import { z } from "zod";
import type { Clock } from "../core/clock.ts";
import { watchChanges } from "../core/watch-file.ts";

/** How long to wait, in ms. An answer that is not there by then is not coming: it was interrupted, or has no text. */
const DEADLINE_MS = 1_000;
/** The last rows of a transcript are read. A longer row is an answer, or an image that Claude was sent. */
const READ_BYTES = 256 * 1024;

const row = z.object({ type: z.string() });

/** @param transcript the path; null when Claude Code has written none */
export async function whenAnswerIsWritten(transcript: string | null, clock: Clock): Promise<void> {
  if (transcript === null) return;
  const { promise: expired, resolve: expire } = Promise.withResolvers<void>();
  const cancel = clock.after(DEADLINE_MS, expire);
  let isExpired = false;
  void expired.then(() => {
    isExpired = true;
  });
  let changed = Promise.withResolvers<void>();
  const watch = watchChanges(transcript, () => changed.resolve());
  try {
    while (!isExpired && (await lastSpeaker(transcript)) === "user") {
      await Promise.race([changed.promise, expired]);
      changed = Promise.withResolvers();
    }
  } finally {
    cancel();
    watch.close();
  }
}

/** Who wrote the last message in a transcript: the model, or the user's side, which includes results of tools. */
async function lastSpeaker(transcript: string): Promise<"user" | "assistant" | null> {
  const file = Bun.file(transcript);
  const { size } = file;
  const end = await file.slice(Math.max(0, size - READ_BYTES), size).text();
  for (const line of end.split("\n").toReversed()) {
    const { type } = typeOf(line) ?? {};
    if (type === "user" || type === "assistant") return type;
  }
  return null;
}

/** Null for the cut beginning of a row, and for one that is being written. */
function typeOf(line: string): z.infer<typeof row> | null {
  if (!line.startsWith("{")) return null;
  try {
    return row.parse(JSON.parse(line));
  } catch {
    return null;
  }
}
