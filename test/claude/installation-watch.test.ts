/** The checks of the login between messages, with a script in its place that counts them. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { watchInstallation } from "../../src/claude/installation-watch.ts";
import { Login, type LoginState } from "../../src/claude/login.ts";
import { isRunning } from "../../src/core/is-running.ts";
import { ManualClock } from "../support/manual-clock.ts";

const MINUTE = 60_000;

let folder: string;
let clock: ManualClock;
let login: Login;
let versions: string[];
let stop: () => Promise<void>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-watch-"));
  clock = new ManualClock();
  login = new Login({ HOME: folder }, folder, clock);
  versions = [];
  stop = async () => {};
});
afterEach(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

const asked = () =>
  existsSync(join(folder, "asked")) ? readFileSync(join(folder, "asked"), "utf8").trim().split("\n").length : 0;

/** Replaces the program, as an update does. @param status what it does when it is asked for its login */
function install(status: string, version = "2.1.332"): void {
  const next = join(folder, "next");
  const script = `case "$*" in --version) echo '${version} (Claude Code)';; *) echo asked >> '${folder}/asked'; ${status};; esac`;
  writeFileSync(next, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  renameSync(next, join(folder, "claude"));
}

const LOGGED_OUT = `echo '{"loggedIn": false}'; exit 1`;
const LOGGED_IN = `echo '{"loggedIn": true}'`;

function watch(): void {
  stop = watchInstallation({
    config: { claudeBin: join(folder, "claude"), workspace: folder, useApiKey: false },
    env: { PATH: process.env.PATH, HOME: folder },
    login,
    onVersion: (version) => versions.push(version),
    clock,
  });
}

const changed = (to: LoginState) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  login.onChange((state) => {
    if (state === to) resolve();
  });
  return promise;
};

/** Lets the script of a check run to its end. A check sets its next timer when it has ended. */
async function answered(timers = 1) {
  while (clock.timers < timers) await setImmediate();
}

test("notices a lost login before a message does, and asks every minute until it works again", async () => {
  install(LOGGED_OUT);
  watch();
  const lost = changed("expired");
  await clock.pass(10 * MINUTE - 1);
  expect(asked()).toBe(0);
  await clock.pass(1);
  await lost;
  await answered();
  install(LOGGED_IN);
  const back = changed("ok");
  await clock.pass(MINUTE);
  await back;

  expect([asked(), login.state]).toEqual([2, "ok"]);
});

test("asks nothing while answers of the model prove more", async () => {
  install(LOGGED_OUT);
  watch();
  for (let n = 0; n < 6; n += 1) {
    await clock.pass(5 * MINUTE - 1);
    login.noteAnswer(null);
    await answered();
  }

  expect([asked(), login.state]).toEqual([0, "ok"]);
});

test("asks at once after a rejection, so that another login is noticed", async () => {
  install(LOGGED_IN);
  watch();
  login.noteRejection(null);
  await answered(1);

  expect([asked(), login.state]).toEqual([1, "expired"]);
});

test("reports the version of a Claude Code that was updated, once", async () => {
  install(LOGGED_IN);
  watch();
  await clock.pass(10 * MINUTE);
  await answered();
  install(LOGGED_IN, "2.9.0");
  await clock.pass(10 * MINUTE);
  await answered();
  await clock.pass(10 * MINUTE);
  await answered();

  expect(versions).toEqual(["2.9.0"]);
});

test("a Claude Code that cannot be asked proves nothing", async () => {
  install("echo 'unknown command'; exit 1");
  watch();
  await clock.pass(10 * MINUTE);
  await answered();

  expect(login.state).toBe("unknown");
});

test("ends a check when the server stops, and leaves no process and no timer", async () => {
  install(`echo $$ > '${folder}/pid'; sleep 60`);
  watch();
  await clock.pass(10 * MINUTE);
  while (!existsSync(join(folder, "pid")) || readFileSync(join(folder, "pid"), "utf8") === "") await setImmediate();
  await stop();
  const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
  while (isRunning(pid)) await setImmediate();

  expect([clock.timers, login.state]).toEqual([0, "unknown"]);
});
