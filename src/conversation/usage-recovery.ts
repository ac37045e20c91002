/**
 * Counts what turns used of which not everything was known at their end: those of a killed server, those that were
 * interrupted, those that Claude Code recorded late. It reads Claude Code's transcripts, as far as they have them.
 */
import { getLogger } from "@logtape/logtape";
import { interruptedUsage, usageByModel } from "../claude/token-usage.ts";
import { findTranscript } from "../claude/transcript/location.ts";
import { readModelCalls } from "../claude/transcript/reader.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import type { OpenTurn, TurnStore } from "../store/turns.ts";

const log = getLogger(["synthesis", "store"]);

/** How long after its end Claude Code may still record something of a turn, in ms. */
const RECORDED_MS = 60_000;
/** How often such turns are looked for, in ms. */
const EVERY_MS = 60_000;

/**
 * Reads the transcripts of the turns whose usage is open, one after the other: first of all those that ended with an
 * earlier server, and then those of this one. Call it before this server answers a request.
 * @returns stops it; the next start reads the rest
 */
export function startUsageRecovery(
  turns: Pick<TurnStore, "openUsage" | "closeUsage" | "setUsage">,
  env: Record<string, string | undefined>,
  clock: Clock = systemClock,
): () => void {
  let isStopped = false;
  let cancel = () => {};
  /** The turns whose transcripts cannot be read. The next start tries again. */
  const unreadable = new Set<string>();

  async function count({ id, claudeSession, modelUsage }: OpenTurn): Promise<void> {
    try {
      const path = await findTranscript(claudeSession, env);
      const calls = path === null ? null : await readModelCalls(path, id, 0, null, 0);
      if (isStopped) return;
      if (calls && calls.length > 0) turns.setUsage(id, interruptedUsage(usageByModel(calls), modelUsage ?? []), true);
      else turns.closeUsage(id);
    } catch (error) {
      unreadable.add(id);
      log.warning("usage of a turn not readable: {error}", { turn: id, error });
    }
  }

  async function countAll(until: number): Promise<void> {
    try {
      for (const turn of turns.openUsage(until)) if (!isStopped && !unreadable.has(turn.id)) await count(turn);
    } catch (error) {
      log.warning("usage of earlier turns not counted: {error}", { error });
    }
    if (!isStopped) cancel = clock.after(EVERY_MS, () => void countAll(clock.wallTime() - RECORDED_MS));
  }

  // The turns of an earlier server have ended, whatever the clock says.
  void countAll(Number.POSITIVE_INFINITY);
  return () => {
    isStopped = true;
    cancel();
  };
}
