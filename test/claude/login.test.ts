/** Whether Claude Code's login works: which evidence counts, and what `claude auth status` can prove. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isLoggedIn, Login, type LoginState } from "../../src/claude/login.ts";
import { ManualClock } from "../support/manual-clock.ts";

let home: string;
let clock: ManualClock;
let login: Login;
let changes: LoginState[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "synthesis-login-"));
  mkdirSync(join(home, ".claude"));
  logIn("first");
  clock = new ManualClock();
  login = new Login({ HOME: home }, join(home, "workspace"), clock);
  changes = [];
  login.onChange((state) => changes.push(state));
});
afterEach(() => rmSync(home, { recursive: true }));

/** Stores a login as `/login` does. */
const logIn = (token: string) => writeFileSync(join(home, ".claude/.credentials.json"), JSON.stringify({ token }));
const STORED = { loggedIn: true, authMethod: "claude.ai" };
const NONE = { loggedIn: false, authMethod: "none" };
/** `claude auth status` is started and answers. */
async function report(answer: Parameters<Login["noteReport"]>[0]) {
  const askedAt = clock.now();
  await clock.pass(300);
  login.noteReport(answer, askedAt);
}

test("is unknown before the first evidence, also when a login is stored", async () => {
  await report(STORED);

  expect([login.state, changes]).toEqual(["unknown", []]);
});

test("works when the model has answered, and is lost when the API has rejected it", () => {
  login.noteAnswer(null);
  login.noteAnswer(null);
  login.noteRejection(null);
  login.noteRejection(null);
  login.noteAnswer(null);

  expect(changes).toEqual(["ok", "expired", "ok"]);
});

test("is lost when none is stored, and works again when one is", async () => {
  await report(NONE);
  await report(NONE);
  await report(STORED);

  expect(changes).toEqual(["expired", "ok"]);
});

test("blocks messages for as long as none is stored", async () => {
  await report(STORED);
  const before = login.blocksMessages;
  await report(NONE);
  await clock.pass(60 * 60_000);

  expect([before, login.blocksMessages]).toEqual([false, true]);
});

test("is lost when its end has passed, although Claude Code calls it logged in", async () => {
  const loginExpiresAt = new Date(clock.wallTime() + 1_000).toISOString();
  await report({ ...STORED, loginExpiresAt });
  expect(login.state).toBe("unknown");
  await clock.pass(1_000);
  await report({ ...STORED, loginExpiresAt });

  expect(login.state).toBe("expired");
});

describe("a login that the API has rejected", () => {
  test("stays lost while the same login is stored", async () => {
    await report(STORED);
    login.noteAnswer(null);
    login.noteRejection(null);
    await report(STORED);
    await report(STORED);

    expect(login.state).toBe("expired");
  });

  test("blocks messages for five minutes, and then one may show whether it works by now", async () => {
    login.noteRejection(null);
    await clock.pass(5 * 60_000 - 1);
    const before = login.blocksMessages;
    await clock.pass(1);

    expect([before, login.blocksMessages, login.state]).toEqual([true, false, "expired"]);
  });

  test("blocks messages for another five minutes when one is rejected again", async () => {
    login.noteRejection(null);
    await clock.pass(5 * 60_000);
    login.noteRejection(null);

    expect(login.blocksMessages).toBe(true);
  });

  test("works again after another one was stored", async () => {
    login.noteRejection(null);
    await report(STORED);
    logIn("the second one");
    await report(STORED);

    expect(changes).toEqual(["expired", "ok"]);
  });

  test("works again after a login before the first check", async () => {
    login.noteRejection(null);
    logIn("the second one");
    await report(STORED);

    expect(login.state).toBe("ok");
  });

  test("works again when Claude Code names another one, as on macOS, where no file changes", async () => {
    login.noteRejection(null);
    await report({ ...STORED, loginExpiresAt: "2026-06-01T00:00:00.000Z" });
    await report({ ...STORED, loginExpiresAt: "2026-09-01T00:00:00.000Z" });

    expect(login.state).toBe("ok");
  });

  test("stays lost when the other one is rejected too", async () => {
    login.noteRejection(null);
    logIn("the second one");
    login.noteRejection(null);
    await report(STORED);

    expect(login.state).toBe("expired");
  });

  test("works again after a logout and a login", async () => {
    login.noteRejection(null);
    await report(NONE);
    await report(STORED);

    expect(login.state).toBe("ok");
  });
});

describe("in a workspace with a key of its own", () => {
  const workspace = () => join(home, "other");
  beforeEach(() => {
    mkdirSync(join(workspace(), ".claude"), { recursive: true });
    writeFileSync(join(workspace(), ".claude/settings.json"), JSON.stringify({ apiKeyHelper: "print-key" }));
  });

  test("neither a rejection nor an answer tells about the login", () => {
    login.noteRejection(workspace());
    login.noteAnswer(workspace());

    expect([login.state, changes]).toEqual(["unknown", []]);
  });

  test("and in the default one, too, both do", () => {
    const settings = join(home, "workspace/.claude");
    mkdirSync(settings, { recursive: true });
    writeFileSync(join(settings, "settings.local.json"), JSON.stringify({ apiKeyHelper: "print-key" }));
    login.noteRejection(workspace());
    login.noteAnswer(workspace());
    login.noteRejection(null);

    expect(changes).toEqual(["expired", "ok"]);
  });

  test("and in a workspace without settings, both tell about the login of the default one", () => {
    login.noteRejection(join(home, "third"));
    login.noteAnswer(join(home, "third"));

    expect(changes).toEqual(["expired", "ok"]);
  });
});

test("an answer of the model is newer than a check that was started before", async () => {
  const askedAt = clock.now();
  await clock.pass(100);
  login.noteAnswer(null);
  login.noteReport(NONE, askedAt);

  expect(login.state).toBe("ok");
});

test.each([
  ["has no end", null, true],
  ["ends later", "2026-01-01T00:00:01.000Z", true],
  ["has ended", "2026-01-01T00:00:00.000Z", false],
  ["has an end that cannot be read", "soon", true],
])("a stored login that %s", (_what, loginExpiresAt, expected) => {
  const now = Date.parse("2026-01-01T00:00:00.000Z");
  expect(isLoggedIn({ ...STORED, loginExpiresAt }, now)).toBe(expected);
  expect(isLoggedIn({ ...NONE, loginExpiresAt }, now)).toBe(false);
});
