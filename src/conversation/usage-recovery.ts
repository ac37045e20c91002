/** Counts what the turns of a killed server used, as far as Claude Code has recorded it in its transcripts. */
import { getLogger } from "@logtape/logtape";
import { usageByModel } from "../claude/token-usage.ts";
import { findTranscript } from "../claude/transcript/location.ts";
import { readModelCalls } from "../claude/transcript/reader.ts";
import type { TurnStore } from "../store/turns.ts";

const log = getLogger(["synthesis", "store"]);

/**
 * Reads the transcripts of the turns that ended with an earlier server and whose usage is open, one after the other. Call
 * it before this server answers a request.
 * @returns stops it; the next start reads the rest
 */
export function startUsageRecovery(
  turns: Pick<TurnStore, "openUsage" | "closeUsage" | "setUsage">,
  env: Record<string, string | undefined>,
): () => void {
  const open = turns.openUsage();
  let isStopped = false;

  async function recover(): Promise<void> {
    for (const { id, claudeSession } of open) {
      if (isStopped) return;
      try {
        const path = await findTranscript(claudeSession, env);
        const calls = path === null ? null : await readModelCalls(path, id, 0, null, 0);
        if (isStopped) return;
        if (calls && calls.length > 0) turns.setUsage(id, usageByModel(calls), true);
        else turns.closeUsage(id);
      } catch (error) {
        log.warning("usage of a lost turn not readable: {error}", { turn: id, error });
      }
    }
  }

  void recover();
  return () => {
    isStopped = true;
  };
}
