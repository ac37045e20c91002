/** The record of a conversation: its Claude session, its launch options, and what it has received, over restarts. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { createAttachmentStore } from "../../src/conversation/attachment-store.ts";
import { ConversationRecord, type RecordDeps } from "../../src/conversation/record.ts";
import type { Identity } from "../../src/intake/identity.ts";
import type { TurnRequest } from "../../src/intake/turn-request.ts";
import { openStore, type Store } from "../../src/store/database.ts";
import { createSessionStore } from "../../src/store/sessions.ts";
import { createTurnStore } from "../../src/store/turns.ts";
import type { DeliveredTurn } from "../../src/turn/delivered-turn.ts";

const base = mkdtempSync(join(tmpdir(), "synthesis-record-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

let store: Store;
let deps: RecordDeps;
beforeEach(() => {
  const home = mkdtempSync(join(base, "home-"));
  store = openStore(join(home, "synthesis.db")).store;
  deps = {
    config: defaults(pathsFor(home)),
    sessions: createSessionStore(store),
    turns: createTurnStore(store),
    attachments: createAttachmentStore(join(home, "images")),
    env: { CLAUDE_CONFIG_DIR: join(home, "claude") },
  };
});

afterEach(() => store.close());

const identity: Identity = { key: "user:ann", source: "user", agent: null, chat: null, affinity: null };
const create = (source: Identity["source"] = "user") => new ConversationRecord({ ...identity, source }, deps);
const request = (changes: Partial<TurnRequest> = {}) =>
  ({
    input: { hasHistory: false, newFingerprints: ["new"] },
    affinity: null,
    model: null,
    effort: null,
    systemPrompt: "",
    keepsLaunchOptions: false,
    fromOpenClaw: false,
    workspace: { path: "/w", trusted: true },
    ...changes,
  }) as TurnRequest;

const turn = (id: string, changes: Partial<DeliveredTurn> = {}): DeliveredTurn => ({
  turn: id,
  traceId: null,
  dropped: 0,
  history: [],
  exchanges: [{ users: ["old"], answer: "a" }],
  hadHistory: false,
  volatile: null,
  answered: true,
  truncation: null,
  hasFailed: false,
  ...changes,
});

/** A turn as the runner stores it. */
async function storeTurn(id: string, claudeSession: string, state: "done" | "interrupted" | null) {
  await deps.turns.insertSent({
    id,
    session: identity.key,
    claudeSession,
    traceId: null,
    queuedAt: null,
    processOrigin: null,
    sentAt: 1,
    fingerprints: ["old"],
    volatile: null,
    hadHistory: false,
    dropped: 0,
    history: [],
  });
  deps.turns.markReceived(id, identity.key, 2, "prompt");
  if (state) deps.turns.markEnded(id, { state, at: 3, firstTextAt: 3, errorCode: null, exchanges: null });
  deps.turns.flush();
}

/** Writes Claude's transcript with the messages of these turns. */
function writeTranscript(claudeSession: string, ...turns: string[]): string {
  const folder = join(deps.env.CLAUDE_CONFIG_DIR ?? "", "projects", "-w");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${claudeSession}.jsonl`);
  const rows = turns.map((id) => ({
    type: "user",
    uuid: id,
    message: { role: "user", content: `<channel source="plugin" message_id="${id}">\nhello\n</channel>` },
  }));
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return path;
}

describe("the session for a request", () => {
  test("is a new one for a new conversation, and the same one for the next request", async () => {
    const record = create();
    const first = await record.sessionFor(request({ model: "opus" }));
    expect(first).toMatchObject({ key: "user:ann", workspace: "/w", model: "opus", turns: 0 });
    expect(await record.sessionFor(request({ model: "opus" }))).toMatchObject({ claudeSession: first.claudeSession });
  });

  test("is found again by another server", async () => {
    const first = await create().sessionFor(request());
    expect((await create().sessionFor(request())).claudeSession).toBe(first.claudeSession);
  });

  test("has the launch options of the request, and another hash when they change", async () => {
    const record = create();
    const first = await record.sessionFor(request());
    const second = await record.sessionFor(request({ model: "opus", effort: "low" }));
    expect(second).toMatchObject({ model: "opus", effort: "low" });
    expect(second.launchHash).not.toBe(first.launchHash);
    expect(deps.sessions.find("user:ann")?.model).toBe("opus");
  });

  test("keeps its launch options for a request that is not worth a restart", async () => {
    const record = create();
    const first = await record.sessionFor(request({ model: "opus" }));
    const second = await record.sessionFor(request({ model: "haiku", keepsLaunchOptions: true }));
    expect(second).toMatchObject({ model: "opus", launchHash: first.launchHash });
  });

  test("keeps the system prompt when a request has none", async () => {
    const record = create();
    await record.sessionFor(request({ systemPrompt: "Be brief." }));
    expect((await record.sessionFor(request())).systemPrompt).toBe("Be brief.");
  });

  test("is a new one when OpenClaw has reset the conversation", async () => {
    const record = create();
    const first = await record.sessionFor(request());
    await record.addDelivered(turn("t1"), "hello", false);
    const second = await record.sessionFor(request({ fromOpenClaw: true }));
    expect(second.claudeSession).not.toBe(first.claudeSession);
    expect(record.delivered.all).toEqual([]);
    expect(deps.sessions.pastSessions("user:ann").map(({ claudeSession }) => claudeSession)).toEqual([
      first.claudeSession,
    ]);
  });
});

describe("after a restart of the server, Claude has received", () => {
  test("the turns that it has answered", async () => {
    const { claudeSession } = await create().sessionFor(request());
    await storeTurn("t1", claudeSession, "done");
    const record = create();
    await record.sessionFor(request());
    expect(record.delivered.all).toMatchObject([{ turn: "t1", answered: true }]);
  });

  test("unanswered turns only if the transcript has their message", async () => {
    const { claudeSession } = await create().sessionFor(request());
    await storeTurn("t1", claudeSession, "interrupted");
    await storeTurn("t2", claudeSession, null);
    writeTranscript(claudeSession, "t2");
    const record = create();
    await record.sessionFor(request());
    expect(record.delivered.all.map((one) => one.turn)).toEqual(["t2"]);
  });
});

describe("a delivered turn", () => {
  test("counts without an answer while the process runs", async () => {
    const record = create();
    await record.sessionFor(request());
    await record.addDelivered(turn("t1", { answered: false }), "hello", false);
    expect(record.delivered.all).toHaveLength(1);
  });

  test("without an answer counts after the process has exited only if the transcript has its message", async () => {
    const record = create();
    const { claudeSession } = await record.sessionFor(request());
    writeTranscript(claudeSession, "t1");
    await record.addDelivered(turn("t1", { answered: false }), "hello", true);
    await record.addDelivered(turn("t2", { answered: false }), "hello", true);
    expect(record.delivered.all.map((one) => one.turn)).toEqual(["t1"]);
  });

  test("is stored as done when its truncated answer has reached the client after all", async () => {
    const record = create();
    const { claudeSession } = await record.sessionFor(request());
    await storeTurn("t1", claudeSession, "interrupted");
    await record.addDelivered(turn("t1", { answered: false, truncation: "lost" }), "hello", false);
    record.markAnswered("t1");
    deps.turns.flush();
    expect(deps.turns.latest("user:ann", 1)[0]?.state).toBe("done");
  });
});

test("a transcript is found by its session, or where a hook says that it is", async () => {
  const record = create();
  const { claudeSession } = await record.sessionFor(request());
  expect([await record.transcript(), await record.transcriptSize()]).toEqual([null, 0]);
  const path = writeTranscript(claudeSession, "t1");
  expect(await record.transcript()).toBe(path);
  expect(await record.transcriptSize()).toBeGreaterThan(0);
  const other = writeTranscript("another-session");
  expect(await record.transcript(other)).toBe(other);
  expect(await record.transcript("/etc/passwd")).toBe(path);
});

test("a conversation adopts the Claude session of a prewarmed process", async () => {
  const record = create();
  await record.sessionFor(request());
  record.adopt("session-of-spare");
  expect(deps.sessions.find("user:ann")?.claudeSession).toBe("session-of-spare");
});

describe("a conversation that is", () => {
  test("reset continues under its key in a new Claude session", async () => {
    const { claudeSession } = await create().sessionFor(request({ model: "opus" }));
    await create().reset();
    expect(deps.sessions.find("user:ann")).toMatchObject({ model: "opus" });
    expect(deps.sessions.find("user:ann")?.claudeSession).not.toBe(claudeSession);
  });

  test("removed leaves nothing in the store, and keeps its transcript unless asked to delete it", async () => {
    for (const transcripts of [false, true]) {
      const record = create();
      const { claudeSession } = await record.sessionFor(request());
      const path = writeTranscript(claudeSession, "t1");
      await record.remove(transcripts);
      expect(deps.sessions.find("user:ann")).toBeUndefined();
      expect(await Bun.file(path).exists()).toBe(!transcripts);
    }
  });
});
