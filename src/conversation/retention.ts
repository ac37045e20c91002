/**
 * Deletes conversations and records that have not been used for `keepDays`: at startup, then once a day, in small steps.
 * Claude Code deletes its own transcripts, by default after 30 days.
 */
import { getLogger } from "@logtape/logtape";
import { removeTranscript } from "../claude/transcript/location.ts";
import type { Config } from "../config/schema.ts";
import type { Retention } from "../store/retention.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { UsageSums } from "../store/usage.ts";
import type { AttachmentStore } from "./attachment-store.ts";
import type { ConversationRegistry } from "./registry.ts";

const log = getLogger(["synthesis", "store"]);

const DAY_MS = 86_400_000;
/** The pause between two steps, in which turns can run. */
const PAUSE_MS = 20;

interface RetentionDeps {
  readonly config: Config;
  readonly retention: Retention;
  readonly usage: Pick<UsageSums, "mergeOldestDay">;
  readonly sessions: SessionStore;
  readonly conversations: ConversationRegistry;
  readonly attachments: AttachmentStore;
  readonly env: Record<string, string | undefined>;
  /** Deletes what has expired in the database of a fleet. @returns how many conversations */
  readonly deleteShared?: ((before: number) => Promise<number>) | undefined;
}

/** Deletes expired data now and once a day. @returns stops it; nothing is deleted afterwards */
export function startRetention(deps: RetentionDeps): () => void {
  const { config, retention, usage, sessions, conversations, attachments, env } = deps;
  let stopped = false;

  async function deleteExpired(): Promise<void> {
    const before = Date.now() - config.keepDays * DAY_MS;
    let rows = 0;
    for (let deleted = retention.deleteBatch(before); deleted > 0; deleted = retention.deleteBatch(before)) {
      rows += deleted;
      await Bun.sleep(PAUSE_MS);
      if (stopped) return;
    }
    while (usage.mergeOldestDay(before)) {
      await Bun.sleep(PAUSE_MS);
      if (stopped) return;
    }
    let removed = 0;
    for (const { key, removesTranscript } of retention.expiredConversations(before)) {
      // A conversation in memory is in use.
      if (conversations.find(key)) continue;
      for (const claudeSession of sessions.remove(key)) {
        attachments.remove(claudeSession);
        // A conversation of one request leaves a transcript only when the server was killed.
        if (removesTranscript) await removeTranscript(claudeSession, env);
      }
      removed += 1;
      await Bun.sleep(PAUSE_MS);
      if (stopped) return;
    }
    for (const claudeSession of attachments.unusedSince(before)) {
      if (!retention.isCurrentClaudeSession(claudeSession)) attachments.remove(claudeSession);
      await Bun.sleep(PAUSE_MS);
      if (stopped) return;
    }
    removed += (await deps.deleteShared?.(before)) ?? 0;
    if (rows + removed > 0) log.info("expired data deleted", { rows, conversations: removed });
  }

  const run = () => void deleteExpired().catch((error) => log.error("expired data not deleted: {error}", { error }));
  const daily = setInterval(run, DAY_MS);
  run();
  return () => {
    stopped = true;
    clearInterval(daily);
  };
}
