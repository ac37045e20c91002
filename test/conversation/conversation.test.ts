/** One conversation with a process that the test plays: the order of its requests, and how they end. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { AgentProcess, ProcessOwner } from "../../src/claude/agent-process.ts";
import type { LaunchChoice, LaunchSpec } from "../../src/claude/launch-spec.ts";
import type { Pool } from "../../src/claude/pool/pool.ts";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { createAttachmentStore } from "../../src/conversation/attachment-store.ts";
import { Conversation } from "../../src/conversation/conversation.ts";
import { SessionCosts } from "../../src/conversation/session-costs.ts";
import { RequestError, shuttingDown } from "../../src/core/errors.ts";
import type { Identity } from "../../src/intake/identity.ts";
import { readTurnRequest } from "../../src/intake/turn-request.ts";
import { SchemaChecker } from "../../src/json-schema/checker.ts";
import { Rejections } from "../../src/limits/rejections.ts";
import { createPermissionBroker } from "../../src/permissions/broker.ts";
import { openStore, type Store } from "../../src/store/database.ts";
import { createPermissionLog } from "../../src/store/permissions.ts";
import { createSessionStore } from "../../src/store/sessions.ts";
import { createTurnStore } from "../../src/store/turns.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";
import type { HookBody } from "../../src/wire/hooks.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const base = mkdtempSync(join(tmpdir(), "synthesis-conversation-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** A process without a Claude. The test says when Claude answers. */
class FakeProcess {
  readonly pid = 1;
  state = "ready";
  connected = true;
  isShared = false;
  status = null;
  statusRevision = 0;
  stopHooks = null;
  hasOwnRetries = false;
  mayContinueAfterStop = false;
  ready = Promise.resolve();
  interruptions = 0;
  /** The ids and texts of the messages that Claude was sent. */
  readonly sent: { id: string; text: string }[] = [];
  readonly results: string[] = [];
  readonly tools = {
    offer: async () => {},
    answer: (id: string) => void this.results.push(id),
  };
  constructor(
    readonly spec: LaunchSpec,
    readonly owner: ProcessOwner,
    readonly clock: ManualClock,
  ) {}
  get lastOutputAt() {
    return this.clock.now();
  }
  get asProcess(): AgentProcess {
    return this as unknown as AgentProcess;
  }
  isConnected = async () => this.connected;
  adapt = async (choice: LaunchChoice) => Bun.deepEquals(choice, this.spec.choice);
  noteOutput = () => {};
  reportedRows = () => null;
  reportedUsage = () => null;
  takeNotes = () => [];
  interrupt = () => {
    this.interruptions += 1;
  };
  send(id: string, _chat: string, text: string) {
    if (this.connected) this.sent.push({ id, text });
    return this.connected;
  }
  async stop() {
    if (this.state !== "exited") {
      this.state = "exited";
      this.owner.onEvent(this.asProcess, { type: "exit", exit: { code: 0, signal: null } });
    }
    return { code: 0, signal: null };
  }
  kill = () => void this.stop();
  #hook(id: string, hook_event_name: string, more: object) {
    const common = { session_id: "s", transcript_path: "/none", prompt_id: `prompt of ${id}` };
    this.owner.onEvent(this.asProcess, { type: "hook", hook: { ...common, hook_event_name, ...more } as HookBody });
  }
  /** Claude receives its newest message. */
  receive() {
    const { id } = this.#newest;
    this.#hook(id, "UserPromptSubmit", { prompt: `<channel source="x" message_id="${id}">\nhi\n</channel>` });
  }
  /** Anthropic rejects the newest message, for an hour. */
  reject() {
    const { id } = this.#newest;
    this.receive();
    const reset = new Date(this.clock.wallTime() + 3_600_000);
    const at = `${reset.getUTCHours() % 12 || 12}:${`${reset.getUTCMinutes()}`.padStart(2, "0")}`;
    const text = `You've hit your weekly limit · resets ${at}${reset.getUTCHours() < 12 ? "am" : "pm"} (UTC)`;
    this.#hook(id, "StopFailure", { error: "rate_limit", last_assistant_message: text });
  }
  /** Claude receives its newest message and answers it. */
  answer(text: string) {
    const { id } = this.#newest;
    this.receive();
    this.#hook(id, "MessageDisplay", { message_id: id, index: 0, final: true, delta: text });
    this.#hook(id, "Stop", { last_assistant_message: text });
  }
  get #newest() {
    return this.sent.at(-1) as { id: string; text: string };
  }
}

let store: Store;
let clock: ManualClock;
let started: FakeProcess[];
/** Called before a process starts. */
let beforeStart: () => Promise<void>;
let rejections: Rejections;
let idleNotes: number;
let rests: number;
/** Whether an unnamed conversation stays after its turns. */
let keeps: boolean;
let turns: { ms: number | null; code: string | null }[];
let conversation: Conversation;
const home = () => mkdtempSync(join(base, "home-"));

beforeEach(() => {
  clock = new ManualClock();
  rejections = new Rejections(clock);
  started = [];
  beforeStart = async () => {};
  idleNotes = 0;
  rests = 0;
  keeps = false;
  turns = [];
  conversation = create();
});
afterEach(() => store.close());

function create(source: Identity["source"] = "user"): Conversation {
  const folder = home();
  store = openStore(join(folder, "synthesis.db")).store;
  const config = defaults(pathsFor(folder));
  const env = { CLAUDE_CONFIG_DIR: join(folder, "claude") };
  const pool: Pick<Pool, "start" | "adopt" | "noteIdle" | "hasRoom"> = {
    start: async (spec, owner, signal) => {
      await beforeStart();
      signal.throwIfAborted();
      const process = new FakeProcess(spec, owner, clock);
      started.push(process);
      return process.asProcess;
    },
    adopt: () => null,
    noteIdle: () => {
      idleNotes += 1;
    },
    hasRoom: true,
  };
  return new Conversation(
    { key: "user:ann", source, agent: null, chat: null, affinity: null },
    {
      config,
      pool: pool as Pool,
      checker: new SchemaChecker(),
      permissions: createPermissionBroker({ config, permissionLog: createPermissionLog(store), env, clock }),
      sessions: createSessionStore(store),
      turns: createTurnStore(store),
      attachments: createAttachmentStore(join(folder, "images")),
      env,
      figures: { noteSession: () => {} },
      costs: new SessionCosts(),
      clock,
      rejections,
    },
    {
      onTurn: ({ ms, error }) => void turns.push({ ms, code: error?.code ?? null }),
      keeps: () => keeps,
      onRest: () => {
        rests += 1;
      },
    },
  );
}

/** Puts a message into the conversation. */
function submit(content: string) {
  const config = { ...defaults(pathsFor("/nowhere")), workspace: base, allowedRoots: [base] };
  const request = readTurnRequest(
    parsedRequest({ messages: [{ role: "user", content }] }),
    conversation.identity,
    config,
  );
  const response = new ResponseStream();
  response.opened.catch(() => {});
  let received = "";
  const ended = (async () => {
    for await (const parts of response.parts()) {
      for (const part of parts) {
        if (part.type === "text") received += part.text;
        if (part.type === "error") received += `✗${part.error.code}`;
      }
    }
    return received;
  })();
  conversation.submit({ request, response });
  return { response, ended };
}

/** Lets everything happen that needs no time. */
async function settle() {
  for (let rounds = 0; rounds < 5; rounds += 1) {
    await clock.pass(0);
    await setImmediate();
  }
}
const process = () => started.at(-1) as FakeProcess;
const sentTexts = () => process().sent.map(({ text }) => text);

/** The process of the conversation after its first turn. */
async function idleProcess(): Promise<FakeProcess> {
  const { ended } = submit("one");
  await settle();
  process().answer("1");
  await ended;
  await settle();
  return process();
}

describe("requests", () => {
  test("are served one after the other", async () => {
    const one = submit("one");
    const two = submit("two");
    await settle();
    expect(sentTexts()).toEqual(["one"]);
    expect([conversation.state, conversation.waiting]).toEqual(["busy", 1]);
    process().answer("1");
    expect(await one.ended).toBe("1");
    await settle();
    expect(sentTexts()).toEqual(["one", "two"]);
    process().answer("2");
    expect(await two.ended).toBe("2");
    await settle();
    expect([conversation.state, conversation.waiting, started.length]).toEqual(["idle", 0, 1]);
  });

  test("are reported with the time that Claude took, and the pool learns that the process is idle", async () => {
    const { ended } = submit("one");
    await settle();
    await clock.pass(2_000);
    process().answer("1");
    await ended;
    await settle();
    expect(turns).toEqual([{ ms: 2_000, code: null }]);
    expect(idleNotes).toBeGreaterThan(0);
  });

  test("that wait leave the queue when their client disconnects", async () => {
    const one = submit("one");
    const two = submit("two");
    await settle();
    two.response.disconnect();
    process().answer("1");
    await one.ended;
    await settle();
    expect(sentTexts()).toEqual(["one"]);
  });

  test("fail with the reason when the process cannot be started, and the next one is tried", async () => {
    beforeStart = async () => {
      throw new RequestError("claude_not_ready", "Not ready.");
    };
    expect(await submit("one").ended).toBe("✗claude_not_ready");
    beforeStart = async () => {};
    const two = submit("two");
    await settle();
    process().answer("2");
    expect(await two.ended).toBe("2");
    expect(turns[0]).toEqual({ ms: null, code: "claude_not_ready" });
  });

  test("are refused without a process after Anthropic has rejected one, until one that is let through is answered", async () => {
    const one = submit("one");
    const two = submit("two");
    await settle();
    process().reject();
    await clock.pass(1_000);
    expect([await one.ended, await two.ended]).toEqual(["✗usage_limit_reached", "✗usage_limit_reached"]);
    expect(sentTexts()).toEqual(["one"]);
    expect(turns.map(({ ms }) => ms !== null)).toEqual([true, false]);

    await clock.pass(300_000);
    const probe = submit("three");
    await settle();
    expect(sentTexts().at(-1)).toContain("three");
    process().answer("3");
    expect(await probe.ended).toBe("3");
    await settle();
    const next = submit("four");
    await settle();
    process().answer("4");
    expect(await next.ended).toBe("4");
  });

  test("go to another process when the connection drops before anything is stored of the turn", async () => {
    const first = await idleProcess();
    const answers = [true, false];
    first.isConnected = async () => answers.shift() ?? false;
    const two = submit("two");
    await settle();
    expect(process()).not.toBe(first);
    expect(first.state).toBe("exited");
    process().answer("2");
    expect(await two.ended).toEndWith("2");
  });

  test("fail when the connection drops before the message is sent, and the process is stopped", async () => {
    const first = await idleProcess();
    first.isConnected = async () => true;
    first.send = () => false;
    expect(await submit("two").ended).toBe("✗message_not_received");
    expect(first.state).toBe("exited");
  });
});

describe("an interruption", () => {
  test("stops Claude and fails the running request", async () => {
    const { ended } = submit("one");
    await settle();
    process().receive();
    expect(conversation.interrupt(new RequestError("turn_interrupted", "Stopped."))).toBe(true);
    expect(await ended).toBe("✗turn_interrupted");
    expect(process().interruptions).toBe(1);
  });

  test("fails a request that waits for its process", async () => {
    const start = Promise.withResolvers<void>();
    beforeStart = () => start.promise;
    const { ended } = submit("one");
    await settle();
    expect([conversation.state, conversation.waiting]).toEqual(["starting", 1]);
    expect(conversation.interrupt(new RequestError("turn_interrupted", "Stopped."))).toBe(true);
    start.resolve();
    expect(await ended).toBe("✗turn_interrupted");
  });

  test("has no effect when nothing runs", () => {
    expect(conversation.interrupt(shuttingDown())).toBe(false);
  });
});

test("when requests are refused, those that wait fail and the running turn may finish", async () => {
  const one = submit("one");
  const two = submit("two");
  await settle();
  conversation.refuse(shuttingDown());
  expect(await two.ended).toBe("✗shutting_down");
  process().answer("1");
  expect(await one.ended).toBe("1");
  await conversation.idle();
});

describe("ending the conversation", () => {
  test("fails its requests, stops the process, makes the change, and serves later requests afterwards", async () => {
    const one = submit("one");
    const two = submit("two");
    await settle();
    const first = process();
    const order: string[] = [];
    const ended = conversation.end(new RequestError("turn_interrupted", "Reset."), async () => {
      order.push(`change, process ${first.state}`);
    });
    const three = submit("three");
    expect(await one.ended).toBe("✗turn_interrupted");
    expect(await two.ended).toBe("✗turn_interrupted");
    await ended;
    await settle();
    order.push(...sentTexts());
    expect(order[0]).toBe("change, process exited");
    expect(order.at(-1)).toEndWith("three");
    expect(started).toHaveLength(2);
    process().answer("3");
    expect(await three.ended).toEndWith("3");
  });

  test("passes on the error of a change that fails", async () => {
    const change = conversation.end(shuttingDown(), async () => {
      throw new Error("disk full");
    });
    expect(change).rejects.toThrow("disk full");
  });
});

test("rests when its process has exited and no request waits", async () => {
  const { ended } = submit("one");
  await settle();
  process().answer("1");
  await ended;
  await settle();
  expect(rests).toBe(0);
  await process().stop();
  expect(rests).toBe(1);
  expect(conversation.state).toBe("cold");
});

test("a call of a client's tool is answered with an error when no turn runs", async () => {
  const { ended } = submit("one");
  await settle();
  process().answer("1");
  await ended;
  await settle();
  const call = { id: "late", name: "weather", arguments: "{}" };
  process().owner.onEvent(process().asProcess, { type: "call", call });
  expect(process().results).toEqual(["late"]);
});

test("a one-shot conversation is removed after its turn", async () => {
  store.close();
  conversation = create("one-shot");
  const { ended } = submit("one");
  await settle();
  process().answer("1");
  expect(await ended).toBe("1");
  await conversation.idle();
  await settle();
  expect(process().state).toBe("exited");
  expect(createSessionStore(store).find("user:ann")).toBeUndefined();
  expect(rests).toBeGreaterThan(0);
});

describe("an unnamed conversation that stays after its turn is removed", () => {
  beforeEach(() => {
    store.close();
    keeps = true;
    conversation = create("unnamed");
  });
  const rows = () => createSessionStore(store).all().length;

  test.each<[when: string, end: () => unknown]>([
    ["when its process exits", () => process().stop()],
    [
      "when its process is stopped because it has grown too large",
      () => process().owner.onOversized(process().asProcess),
    ],
  ])("%s", async (_when, end) => {
    const { ended } = submit("one");
    await settle();
    process().answer("1");
    expect(await ended).toBe("1");
    await settle();
    expect([process().state, rows()]).toEqual(["ready", 1]);
    end();
    await settle();
    expect([process().state, rows()]).toEqual(["exited", 0]);
    expect(rests).toBeGreaterThan(0);
  });

  test("when its process exits right after the answer", async () => {
    const { ended } = submit("one");
    await settle();
    process().answer("1");
    void process().stop();
    expect(await ended).toBe("1");
    await settle();
    expect(rows()).toBe(0);
    expect(rests).toBeGreaterThan(0);
  });
});
