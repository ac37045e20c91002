/** Counts what the turns of a killed server used, as far as Claude Code has recorded it in its transcripts. */
import { getLogger } from "@logtape/logtape";
import { usageByModel } from "../claude/token-usage.ts";
import { findTranscript } from "../claude/transcript/location.ts";
import { readModelCalls } from "../claude/transcript/reader.ts";
import type { TurnStore } from "../store/turns.ts";

const log = getLogger(["synthesis", "store"]);

/**
 * Reads the transcripts of the turns whose usage is open, one after the other. Call it before the server has turns of its
 * own, whose usage is open too.
 */
export async function recoverUsage(
  turns: Pick<TurnStore, "openUsage" | "closeUsage" | "setUsage">,
  env: Record<string, string | undefined>,
): Promise<void> {
  for (const { id, claudeSession } of turns.openUsage()) {
    try {
      const path = await findTranscript(claudeSession, env);
      const calls = path === null ? null : await readModelCalls(path, id, 0, null, 0);
      if (calls && calls.length > 0) turns.setUsage(id, usageByModel(calls), true);
      else turns.closeUsage(id);
    } catch (error) {
      log.warning("usage of a lost turn not readable: {error}", { turn: id, error });
    }
  }
}
