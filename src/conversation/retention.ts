/**
 * Forgets what nobody has used for long: at the start, once a day, and in small steps. Claude Code's own records are
 * not touched; by default it removes them after a third of the time.
 */
import { getLogger } from "@logtape/logtape";
import { removeTranscript } from "../claude/transcript/location.ts";
import type { Config } from "../config/schema.ts";
import type { Retention } from "../store/retention.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { AttachmentStore } from "./attachment-store.ts";
import type { ConversationRegistry } from "./registry.ts";

const log = getLogger(["synthesis", "store"]);

const DAY_MS = 86_400_000;
/** Between two steps, in ms, turns go on. */
const PAUSE_MS = 20;

interface PruningDeps {
  readonly config: Config;
  readonly retention: Retention;
  readonly sessions: SessionStore;
  readonly conversations: ConversationRegistry;
  readonly attachments: AttachmentStore;
  readonly env: Record<string, string | undefined>;
}

/** Begins at once. @returns what ends it; nothing is touched afterwards */
export function startPruning({
  config,
  retention,
  sessions,
  conversations,
  attachments,
  env,
}: PruningDeps): () => void {
  let stopped = false;

  async function prune(): Promise<void> {
    const before = Date.now() - config.keepDays * DAY_MS;
    let rows = 0;
    for (let some = retention.deleteBatch(before); some > 0; some = retention.deleteBatch(before)) {
      rows += some;
      await Bun.sleep(PAUSE_MS);
      if (stopped) return;
    }
    let forgotten = 0;
    for (const { key, isOneShot } of retention.expiredConversations(before)) {
      // What does something, or has a claude, is not old.
      if (conversations.find(key)) continue;
      for (const claudeSession of sessions.remove(key)) {
        attachments.remove(claudeSession);
        // Nothing of it was to be kept; only a server that was killed has left it.
        if (isOneShot) await removeTranscript(claudeSession, env);
      }
      forgotten += 1;
      await Bun.sleep(PAUSE_MS);
      if (stopped) return;
    }
    for (const claudeSession of attachments.unusedSince(before)) {
      if (!retention.isCurrentClaudeSession(claudeSession)) attachments.remove(claudeSession);
      await Bun.sleep(PAUSE_MS);
      if (stopped) return;
    }
    if (rows + forgotten > 0) log.info("what is old is forgotten", { rows, conversations: forgotten });
  }

  const run = () => void prune().catch((error) => log.error("what is old is still there: {error}", { error }));
  const daily = setInterval(run, DAY_MS);
  run();
  return () => {
    stopped = true;
    clearInterval(daily);
  };
}
