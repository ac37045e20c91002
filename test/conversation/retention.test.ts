/** Which data is deleted when it has expired, and which stays because it is in use. */
import { expect, test } from "bun:test";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import type { AttachmentStore } from "../../src/conversation/attachment-store.ts";
import type { ConversationRegistry } from "../../src/conversation/registry.ts";
import { startRetention } from "../../src/conversation/retention.ts";
import type { SessionStore } from "../../src/store/sessions.ts";

const DAY_MS = 86_400_000;
const config = { ...defaults(pathsFor("/nowhere")), keepDays: 30 };

/** Runs retention until it has deleted everything, and returns what it deleted. */
async function run({ stopAtOnce = false } = {}) {
  const deleted: string[] = [];
  const expired = Promise.withResolvers<number>();
  const last = Promise.withResolvers<void>();
  let batches = 2;
  let days = 2;
  const stop = startRetention({
    config,
    retention: {
      deleteBatch: (before) => {
        expired.resolve(before);
        batches -= 1;
        if (batches >= 0) deleted.push("rows");
        return batches >= 0 ? 10 : 0;
      },
      expiredConversations: () => [
        { key: "old", removesTranscript: false },
        { key: "in-memory", removesTranscript: false },
      ],
      isCurrentClaudeSession: (claudeSession) => claudeSession === "current",
    },
    usage: {
      mergeOldestDay: () => {
        days -= 1;
        if (days >= 0) deleted.push("hours of a day");
        return days >= 0;
      },
    },
    sessions: { remove: (key: string) => [`session of ${key}`] } as Partial<SessionStore> as SessionStore,
    conversations: { find: (key: string) => key === "in-memory" || undefined } as unknown as ConversationRegistry,
    attachments: {
      remove: (claudeSession: string) => {
        deleted.push(claudeSession);
        if (claudeSession === "orphaned") last.resolve();
      },
      unusedSince: () => ["current", "orphaned"],
    } as Partial<AttachmentStore> as AttachmentStore,
    env: {},
  });
  if (stopAtOnce) {
    stop();
    // Nothing tells that it has ended. It would go on after 20 ms.
    await Bun.sleep(200);
  } else await last.promise;
  stop();
  return { deleted, before: await expired.promise };
}

test("deletes rows in batches, merges hours into days, then deletes unused conversations and attachments", async () => {
  const { deleted, before } = await run();
  expect(deleted).toEqual(["rows", "rows", "hours of a day", "hours of a day", "session of old", "orphaned"]);
  expect(Math.abs(Date.now() - 30 * DAY_MS - before)).toBeLessThan(60_000);
});

test("deletes nothing more once it is stopped", async () => {
  expect((await run({ stopAtOnce: true })).deleted).toEqual(["rows"]);
});
