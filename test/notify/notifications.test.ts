/** Notifications at a receiver on this machine: each occurrence once, in each format, and nothing private. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Login } from "../../src/claude/login.ts";
import { TESTED_RANGE, TESTED_VERSIONS } from "../../src/claude/tested-versions.ts";
import type { NotifyFormat } from "../../src/config/schema.ts";
import { AccountLimits, type PlanWindow } from "../../src/limits/account.ts";
import { type Notifications, startNotifications } from "../../src/notify/notifications.ts";
import { createPermissionBroker, type PermissionBroker } from "../../src/permissions/broker.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

const HOUR = 3_600_000;
const SECRET = "CANARY";

/** Knows which timer was set last: an attempt sets one of ten seconds, the pause after it another one. */
class RecordingClock extends ManualClock {
  lastDelay: number | null = null;

  override after(ms: number, run: () => void): () => void {
    this.lastDelay = ms;
    return super.after(ms, run);
  }

  /** Resolves when the outbox pauses for this long after a failed attempt, which has reached the receiver. */
  async paused(ms: number): Promise<void> {
    while (this.lastDelay !== ms) await setImmediate();
  }
}

let folder: string;
let receiver: Receiver;
let clock: RecordingClock;
let login: Login;
let limits: AccountLimits;
let permissions: PermissionBroker;
let channel: (refusal: string | null) => void;
let notifications: Notifications;
const started: Notifications[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-notify-"));
  receiver = startReceiver();
  clock = new RecordingClock();
  start();
});
afterEach(async () => {
  for (const one of started.splice(0)) await one.close();
  await receiver.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the notifications of a server, the first one or one that is started again. */
function start(
  config: { notifyFormat?: NotifyFormat; notifyContent?: boolean; notifyUrl?: string } = {},
  windows: PlanWindow[] = [],
): void {
  login = new Login({ HOME: folder }, folder, clock);
  limits = new AccountLimits(clock, { windows: () => windows, noteWindows: () => {} });
  permissions = createPermissionBroker({
    config: { permissionTimeoutMs: HOUR },
    permissionLog: { insertPrompt: () => {}, setVerdict: () => {}, rules: () => [] },
    env: {},
    clock,
  });
  notifications = startNotifications({
    config: { notifyUrl: `${receiver.origin}/topic`, notifyFormat: "json", notifyContent: false, ...config },
    paths: { notificationRecord: join(folder, "notified.json") },
    login,
    limits,
    engines: {
      onChannel: (listener) => {
        channel = listener;
      },
    },
    permissions,
    clock,
  });
  started.push(notifications);
}

/** Waits until all that was noted so far has been sent, by the notice of a damaged database behind it. */
async function settled(): Promise<string[]> {
  const file = `flush-${crypto.randomUUID()}`;
  notifications.noteQuarantine(file);
  while (!receiver.received.some(({ body }) => body.includes(file))) await setImmediate();
  // The last response has to arrive, too.
  await notifications.close();
  const kinds = receiver.received.filter(({ body }) => !body.includes("flush-")).map(({ json }) => `${json.kind}`);
  return kinds;
}

/** Waits until the record of what was said matches: it is written when the receiver has answered. */
async function recorded(match: RegExp): Promise<void> {
  const file = join(folder, "notified.json");
  while (!existsSync(file) || !match.test(readFileSync(file, "utf8"))) await setImmediate();
}

const ask = (input: object = { command: `echo ${SECRET}` }, session = `user:${SECRET}`, tool = "Bash") =>
  permissions.ask({ session, turn: null, tool, input, sender: SECRET }, () => {}, new AbortController().signal);
const use = (usedPercent: number, resetsAt: number | null = clock.wallTime() + 5 * HOUR, name = "five_hour") =>
  limits.note([{ name, usedPercent, resetsAt }]);

/** Makes each kind of occurrence happen. */
const OCCURRENCES: [kind: string, happen: () => void | Promise<void>][] = [
  [
    "permission_prompt",
    async () => {
      void ask();
      await clock.pass(1_000);
    },
  ],
  ["login_lost", () => login.noteRejection(null)],
  ["plan_window", () => use(80)],
  ["channels_refused", () => channel(`no channels for ${SECRET}`)],
  ["database_quarantined", () => notifications.noteQuarantine(`/home/${SECRET}/synthesis.db.damaged-1`)],
  ["untested_claude", () => notifications.noteVersion("99.0.0")],
];

describe.each(["json", "ntfy", "slack"] as const)("in the format %s", (notifyFormat) => {
  test.each(OCCURRENCES)("%s is sent once, also when the receiver was down for a minute", async (_kind, happen) => {
    start({ notifyFormat });
    receiver.answer(() => new Response(null, { status: 503 }));
    await happen();
    // The receiver is down for the attempts of the first minute.
    for (let attempt = 1; attempt <= 6; attempt += 1) {
      await receiver.get(attempt);
      const pause = 2 ** (attempt - 1) * 1_000;
      await clock.paused(pause);
      if (attempt === 6) receiver.answer(() => new Response("ok"));
      await clock.pass(pause);
    }
    await receiver.get(7);
    await notifications.close();

    expect(receiver.received).toHaveLength(7);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
    const { path, headers, body } = await receiver.get(1);
    expect(JSON.stringify([path, headers, body])).not.toContain(SECRET);
    expect(body.length).toBeGreaterThan(20);
  });
});

test("no user's words are sent unless the configuration says so, and then with the session", async () => {
  start({ notifyContent: true });
  void ask();
  await clock.pass(1_000);
  const { json } = await receiver.get(1);

  expect(json).toMatchObject({
    kind: "permission_prompt",
    count: 1,
    prompts: [{ id: permissions.pending[0]?.id, tool: "Bash", session: `user:${SECRET}` }],
    text: expect.stringContaining(`echo ${SECRET}`),
  });
});

describe("a permission prompt", () => {
  test("names only a tool of Claude Code itself", async () => {
    void ask({}, "user:ann", "mcp__acme__pay");
    await clock.pass(1_000);

    expect((await receiver.get(1)).json).toMatchObject({ prompts: [{ tool: null }] });
  });

  test("that is answered at once is not sent", async () => {
    void ask();
    permissions.answer(permissions.pending[0]?.id ?? "", { behavior: "allow", way: "chat", by: null });
    await clock.pass(1_000);

    expect(await settled()).toEqual([]);
  });

  test("that is answered while the receiver is down is not sent", async () => {
    receiver.answer(() => new Response(null, { status: 503 }));
    void ask();
    await clock.pass(1_000);
    await receiver.get(1);
    await clock.paused(1_000);
    permissions.answer(permissions.pending[0]?.id ?? "", { behavior: "allow", way: "chat", by: null });
    receiver.answer(() => new Response("ok"));
    await clock.pass(1_000);

    expect(await settled()).toEqual(["permission_prompt"]);
  });

  test("is sent together with the others of the same second", async () => {
    for (let n = 0; n < 50; n += 1) void ask();
    await clock.pass(1_000);
    const { json } = await receiver.get(1);
    void ask();
    await clock.pass(1_000);
    await receiver.get(2);

    expect(json.prompts).toBeArrayOfSize(10);
    expect(json).toMatchObject({ count: 50, text: expect.stringMatching(/^50 .*list/) });
    expect(await settled()).toEqual(["permission_prompt", "permission_prompt"]);
  });

  test("is not delayed by a receiver that does not answer", async () => {
    receiver.answer(() => new Promise(() => {}));
    const verdict = ask();
    await clock.pass(1_000);
    await receiver.get(1);
    const second = ask();
    for (const { id } of permissions.pending) permissions.answer(id, { behavior: "allow", way: "control", by: null });

    expect(await Promise.all([verdict, second])).toMatchObject([{ behavior: "allow" }, { behavior: "allow" }]);
    // `close` ends the attempt after two seconds of the clock, which stands still otherwise.
    const closed = notifications.close();
    await clock.pass(2_000);
    await closed;
  });
});

describe("a window of the plan", () => {
  test("is sent at 80, 95 and 100 percent, each once", async () => {
    for (const percent of [10, 79.9, 80, 81, 94, 95, 99.5, 100, 100, 120, 97]) use(percent, clock.wallTime() + HOUR);
    const thresholds = async () => {
      await settled();
      return receiver.received.map(({ json }) => json.threshold).filter(Boolean);
    };
    // They happened at once, so the last one says it all.
    expect(await thresholds()).toEqual([100]);
  });

  test("is sent step by step when there is time between them", async () => {
    for (const [n, percent] of [80, 95, 100].entries()) {
      use(percent);
      await receiver.get(n + 1);
      await recorded(new RegExp(`"threshold":${percent}`));
      use(percent + 1);
    }
    await settled();

    expect(receiver.received.map(({ json }) => json.threshold).filter(Boolean)).toEqual([80, 95, 100]);
  });

  test("that jumps from 70 to 96 is sent at 95 only", async () => {
    use(70);
    use(96);

    expect(await settled()).toEqual(["plan_window"]);
    expect(receiver.received[0]?.json).toMatchObject({ threshold: 95, used_percent: 96, window: "five_hour" });
  });

  test("is sent anew after its reset, and each window for itself", async () => {
    const resetsAt = clock.wallTime() + HOUR;
    use(85, resetsAt);
    use(85, resetsAt, "seven_day");
    await recorded(/five_hour.*seven_day/);
    await clock.pass(HOUR);
    use(85, resetsAt + 5 * HOUR);

    expect(await settled()).toEqual(["plan_window", "plan_window", "plan_window"]);
  });

  test("is the same when its reset is reported a little differently, or not at all", async () => {
    const resetsAt = clock.wallTime() + HOUR;
    use(85, resetsAt);
    use(86, resetsAt + 59_000);
    use(87, null);

    expect(await settled()).toEqual(["plan_window"]);
  });

  test("whose reset is never reported is sent anew after it was less used", async () => {
    use(85, null);
    use(86, null);
    await receiver.get(1);
    use(3, null);
    use(85, null);

    expect(await settled()).toEqual(["plan_window", "plan_window"]);
  });

  test("is not sent after its reset, when the receiver was down until then", async () => {
    receiver.answer(() => new Response(null, { status: 503 }));
    use(85, clock.wallTime() + 500);
    await receiver.get(1);
    await clock.paused(1_000);
    receiver.answer(() => new Response("ok"));
    await clock.pass(1_000);

    expect(await settled()).toEqual(["plan_window"]);
  });

  test("of which nothing is known is not sent", async () => {
    limits.note([{ name: "five_hour", usedPercent: null, resetsAt: null }]);

    expect(await settled()).toEqual([]);
  });
});

describe("after a restart of the server", () => {
  /** Waits until everything is delivered, and starts the server again. */
  async function restart(): Promise<void> {
    await settled();
    start();
  }

  test("nothing is repeated that still holds", async () => {
    const resetsAt = clock.wallTime() + HOUR;
    const happen = () => {
      use(96, resetsAt);
      login.noteRejection(null);
      channel("refused");
      notifications.noteVersion("99.0.0");
    };
    happen();
    await restart();
    happen();

    expect((await settled()).toSorted()).toEqual(["channels_refused", "login_lost", "plan_window", "untested_claude"]);
    expect(statSync(join(folder, "notified.json")).mode & 0o777).toBe(0o600);
  });

  test("a damaged database is reported when the receiver was down until the end of the server", async () => {
    receiver.answer(() => new Response(null, { status: 503 }));
    notifications.noteQuarantine("/state/synthesis.db.damaged-1");
    await receiver.get(1);
    await notifications.close();
    receiver.answer(() => new Response("ok"));
    const before = receiver.received.length;
    start();
    await receiver.get(before + 1);
    await recorded(/"undeliveredQuarantine":null/);
    start();
    await settled();

    expect(receiver.received.slice(before).filter(({ body }) => body.includes("damaged-1"))).toHaveLength(1);
  });

  test("the stored figures of the plan count", async () => {
    const window = { name: "five_hour", usedPercent: 96, resetsAt: clock.wallTime() + HOUR, seenAt: clock.wallTime() };
    start({}, [window]);

    expect(await settled()).toEqual(["plan_window"]);
  });

  test("what did not reach the receiver is sent", async () => {
    receiver.answer(() => new Response(null, { status: 503 }));
    use(96);
    await receiver.get(1);
    await notifications.close();
    receiver.answer(() => new Response("ok"));
    const before = receiver.received.length;
    start();
    use(96);
    await settled();

    expect(receiver.received.slice(before)[0]?.json).toMatchObject({ kind: "plan_window", threshold: 95 });
  });

  test("a higher threshold, a newer version and another refusal are sent", async () => {
    const resetsAt = clock.wallTime() + HOUR;
    use(85, resetsAt);
    channel("refused");
    notifications.noteVersion("99.0.0");
    await restart();
    use(95, resetsAt);
    channel(null);
    channel("refused");
    notifications.noteVersion("99.0.1");

    expect((await settled()).slice(3).toSorted()).toEqual(["channels_refused", "plan_window", "untested_claude"]);
  });
});

describe("the login", () => {
  test("is sent when it is lost and when it works again, each once", async () => {
    login.noteAnswer(null);
    login.noteRejection(null);
    await receiver.get(1);
    login.noteRejection(null);
    await recorded(/"loginLost":true/);
    login.noteAnswer(null);
    login.noteAnswer(null);

    expect(await settled()).toEqual(["login_lost", "login_restored"]);
  });

  test("that works again before its loss was sent is not sent", async () => {
    login.noteRejection(null);
    login.noteAnswer(null);

    expect(await settled()).toEqual([]);
  });

  test("that works again after a restart is sent", async () => {
    login.noteRejection(null);
    await settled();
    start();
    login.noteAnswer(null);

    expect(await settled()).toEqual(["login_lost", "login_restored"]);
  });
});

test.each([TESTED_VERSIONS.oldest, TESTED_VERSIONS.newest, "2.0.0"])("version %s is not sent", async (version) => {
  notifications.noteVersion(version);

  expect(await settled()).toEqual([]);
});

test("a version names the tested range", async () => {
  notifications.noteVersion("99.0.0");

  expect((await receiver.get(1)).json).toMatchObject({ version: "99.0.0", tested: TESTED_RANGE });
});

test("without an address nothing is sent and no timer runs", async () => {
  start({ notifyUrl: "" });
  void ask();
  login.noteRejection(null);
  use(100);
  notifications.noteVersion("99.0.0");
  notifications.noteQuarantine("x");
  await notifications.close();

  // The time limit of the prompt.
  expect([receiver.received, clock.timers]).toEqual([[], 1]);
});
