/** Which conversation a request goes to when one session key has branches for several models. */
import { describe, expect, test } from "bun:test";
import { createBranchRouter } from "../../src/conversation/branch-router.ts";
import { branchKey } from "../../src/conversation/branches.ts";
import type { Identity } from "../../src/intake/identity.ts";
import { readInput } from "../../src/intake/input.ts";
import type { TurnRequest } from "../../src/intake/turn-request.ts";
import type { SessionRow } from "../../src/store/schema.ts";
import type { SessionStore } from "../../src/store/sessions.ts";
import type { TurnStore } from "../../src/store/turns.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const KEY = "user:ann";
const BRANCH = branchKey(KEY, "opus");
const identity: Identity = { key: KEY, source: "user", agent: null, chat: null, affinity: { id: "x", generation: 1 } };
const row = (key: string, model: string | null, branchOf: string | null = null) =>
  ({ key, model, branchOf, claudeSession: `session of ${key}` }) as SessionRow;
const request = (model: string | null, changes: Partial<TurnRequest> = {}) =>
  ({
    model,
    input: readInput(parsedRequest({ messages: [{ role: "user", content: "hello" }] })),
    fromOpenClaw: false,
    sendsHistory: true,
    ...changes,
  }) as TurnRequest;

type Live = NonNullable<ReturnType<Parameters<typeof createBranchRouter>[2]>>;

function create(rows: SessionRow[], live: Record<string, Partial<Live>> = {}) {
  const sessions = {
    find: (key: string) => rows.find((one) => one.key === key),
    branches: (key: string) => rows.filter(({ branchOf }) => branchOf === key),
  } as Partial<SessionStore> as SessionStore;
  const turns = { delivered: () => [] } as Partial<TurnStore> as TurnStore;
  return createBranchRouter(sessions, turns, (key) =>
    live[key] ? { newestModel: undefined, pendingFingerprints: [], awaits: () => false, ...live[key] } : undefined,
  );
}

describe("a request goes to the conversation itself", () => {
  test.each([
    ["when the conversation is new", [], request("opus")],
    ["when its model is the conversation's", [row(KEY, "opus")], request("opus")],
    ["when OpenClaw sent it", [row(KEY, null)], request("opus", { fromOpenClaw: true })],
  ])("%s", (_when, rows, asked) => {
    expect(create(rows).route(identity, asked)).toBe(identity);
  });

  test("when it is a one-shot", () => {
    const oneShot = { ...identity, source: "one-shot" } as const;
    expect(create([row(KEY, null)]).route(oneShot, request("opus"))).toBe(oneShot);
  });
});

describe("a request goes to a branch", () => {
  const branch = { key: BRANCH, branchOf: KEY, affinity: null };

  test("that begins with it when another model is asked", () => {
    expect(create([row(KEY, null)]).route(identity, request("opus"))).toMatchObject(branch);
  });

  test("that begins with it while the other model's first request is still served", () => {
    const live = { [KEY]: { newestModel: null } };
    expect(create([], live).route(identity, request("opus"))).toMatchObject(branch);
  });

  test("of its model that exists already", () => {
    expect(create([row(KEY, null), row(BRANCH, "opus", KEY)]).route(identity, request("opus"))).toMatchObject(branch);
  });

  test("which a node of a fleet has loaded since it started", () => {
    const rows: SessionRow[] = [];
    const router = create(rows, { [BRANCH]: { awaits: () => true } });
    rows.push(row(KEY, null), row(BRANCH, "opus", KEY));
    expect(router.route(identity, request(null))).toMatchObject(branch);
  });

  test("whose turn waits for it, whatever its model is", () => {
    const rows = [row(KEY, null), row(BRANCH, "opus", KEY)];
    expect(create(rows, { [BRANCH]: { awaits: () => true } }).route(identity, request(null))).toMatchObject(branch);
  });
});
