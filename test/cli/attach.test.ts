/** `synthesis attach` in a terminal: what it shows, that it passes no input on, and that it restores the terminal. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { at, control } from "../support/control.ts";
import { PROGRAM } from "../support/server.ts";
import { ask } from "../support/sse.ts";
import { openTerminal, type TestTerminal } from "../support/terminal.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld({ standIn: true });
  await say("hello");
});
afterEach(() => world[Symbol.asyncDispose]());

const say = async (content: string) =>
  (await world.server.post(ask(content, { user: "me", stream: false }))).json() as Promise<object>;
const EXIT_KEY = "\x1d";

/** Expects the normal screen, the cursor, line editing and echo to be back. */
async function expectRestored(terminal: TestTerminal): Promise<void> {
  const shown = await terminal.shows(/icanon/);
  await terminal.exited;
  expect(shown).not.toMatch(/-icanon|-echo\b/);
  for (const [on, off] of [
    ["\x1b[?1049h", "\x1b[?1049l"],
    ["\x1b[?25l", "\x1b[?25h"],
  ] as const) {
    expect(terminal.written().lastIndexOf(on)).toBeGreaterThanOrEqual(0);
    expect(terminal.written().lastIndexOf(off)).toBeGreaterThan(terminal.written().lastIndexOf(on));
  }
}

test("shows the live screen in colour until the exit key is pressed, and passes no key on", async () => {
  const terminal = openTerminal(world, ["attach", "user:me"]);
  const shown = await terminal.shows(/stand-in in red, 120 columns/);
  expect(shown.split("\n").at(-1)).toStartWith(" Ctrl-] exits");
  expect(terminal.written()).toContain("\x1b[0;38;5;1min red");
  await say("draw 3");
  await terminal.shows(/drawn 2/);
  // An Escape would interrupt the stand-in, and a Ctrl-C the real Claude Code.
  terminal.type("typed\r\x1b\x03");
  terminal.type(EXIT_KEY);
  expect(await terminal.shows(/code \d/)).toContain("code 0");
  await expectRestored(terminal);
  await world.server.logged(/screen viewer disconnected.*"viewers":0/);
  const response = await world.server.post(ask("still there?", { user: "me", stream: false }));
  expect(response.headers.get("x-synthesis-process")).toBe("warm");
});

test("stays when nothing changes on the screen for longer than Bun allows by default", async () => {
  // Bun looks every few seconds whether a request has been silent for so long, in s. By default it takes five minutes.
  world.claude.env.BUN_CONFIG_HTTP_IDLE_TIMEOUT = "1";
  const terminal = openTerminal(world, ["attach", "user:me"]);
  await terminal.shows(/120 columns/);
  await Bun.sleep(9_000);
  await say("draw 3");
  await terminal.shows(/drawn 2/);
  terminal.type(EXIT_KEY);
  await expectRestored(terminal);
});

test("shows the lower left part of the screen in a small terminal", async () => {
  const terminal = openTerminal(world, ["attach", "me"], 40, 10);
  await terminal.shows(/120 columns/);
  await say("draw 30");
  const lines = (await terminal.shows(/drawn 29/)).split("\n");
  expect(lines).toEqual([
    ...Array.from({ length: 9 }, (_, row) => `drawn ${21 + row}${".".repeat(32)}`),
    " Ctrl-] exits; the view is read-only. user:me".slice(0, 40),
  ]);
  terminal.resize(24, 4);
  const smaller = await terminal.shows(/drawn 29\.+\n Ctrl-\] exits; the view$/);
  expect(smaller.split("\n").slice(0, 3)).toEqual([27, 28, 29].map((line) => `drawn ${line}${".".repeat(16)}`));
  terminal.resize(120, 42);
  await terminal.shows(/Ctrl-\] exits; the view is read-only/);
  terminal.type(EXIT_KEY);
  await expectRestored(terminal);
});

test("exits when the agent process exits, and when the server does", async () => {
  for (const [end, message] of [
    [() => control(world, `${at("user:me")}/reset`, { method: "POST" }), /Claude Code has exited\.[\s\S]*code 0/],
    [() => world.server.stop("SIGKILL"), /connection to the server was lost[\s\S]*code 1/],
  ] as const) {
    await say("hello");
    const terminal = openTerminal(world, ["attach", "user:me"]);
    await terminal.shows(/120 columns/);
    void end();
    await terminal.shows(message);
    await expectRestored(terminal);
  }
});

test("restores the terminal when a signal ends it", async () => {
  for (const [signal, code] of [
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const) {
    const terminal = openTerminal(world, ["attach", "user:me"]);
    await terminal.shows(/120 columns/);
    process.kill(terminal.pid(), signal);
    await terminal.shows(new RegExp(`code ${code}`));
    await expectRestored(terminal);
  }
});

test("fails without a terminal, without an agent process, and without a matching session", async () => {
  const attach = async (name: string) => {
    const child = Bun.spawn([...PROGRAM, "attach", name], {
      env: { ...world.claude.env, SYNTHESIS_HOME: join(world.claude.base, "state") },
      stdin: "ignore",
      stderr: "pipe",
    });
    return [await child.exited, await child.stderr.text()];
  };
  expect(await attach("user:me")).toEqual([1, expect.stringContaining("attach needs a terminal")]);
  await control(world, `${at("user:me")}/reset`, { method: "POST" });
  await openTerminal(world, ["attach", "user:me"]).shows(/runs for this session[\s\S]*code 1/);
  await openTerminal(world, ["attach", "unknown"]).shows(/There is no session unknown[\s\S]*code 1/);
});
