import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClaudeEvent, Exit, PermissionHook } from "../../../src/claude/agent-process.ts";
import { NO_OWNER, type ProcessOwner } from "../../../src/claude/agent-process.ts";
import { BootFailure } from "../../../src/claude/boot-failure.ts";
import { createEngines } from "../../../src/claude/engines.ts";
import { Connection } from "../../../src/claude/interactive/connection.ts";
import { Pings } from "../../../src/claude/interactive/pings.ts";
import type { InteractiveProcess } from "../../../src/claude/interactive/process.ts";
import type { PtyOptions, SpawnPty } from "../../../src/claude/interactive/pty.ts";
import type { LaunchSpec } from "../../../src/claude/launch-spec.ts";
import { createLauncher } from "../../../src/claude/pool/launcher.ts";
import { pathsFor } from "../../../src/config/paths.ts";
import { type Config, defaults } from "../../../src/config/schema.ts";
import { AccountLimits } from "../../../src/limits/account.ts";
import { PROTOCOL } from "../../../src/wire/frames.ts";
import type { HookBody, Verdict } from "../../../src/wire/hooks.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { catalogueOf, launchSpec } from "../launch-spec.ts";

const LOOK_MS = 100;
const READY_TIMEOUT_MS = 20_000;
/** No process has such an id, so the signals that follow an exit reach nothing. */
const PID = 2 ** 30;

let home: string;
let workspace: string;
let open: (() => void)[] = [];
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  workspace = join(home, "workspace");
  mkdirSync(workspace);
});
afterEach(() => {
  for (const close of open) close();
  open = [];
  rmSync(home, { recursive: true, force: true });
});

class FakePty {
  readonly pid = PID;
  readonly keys: string[] = [];
  readonly signals: string[] = [];
  readonly #exited = Promise.withResolvers<Exit>();
  readonly exited = this.#exited.promise;

  constructor(
    readonly argv: readonly string[],
    readonly options: PtyOptions,
  ) {}

  exit = (exit: Partial<Exit> = {}): void => this.#exited.resolve({ code: null, signal: null, ...exit });
  write = (keys: string): void => void this.keys.push(keys);
  kill = (signal: string): void => void this.signals.push(signal);
  resize = (): void => {};
  close = (): void => {};
}

interface StartOptions {
  readonly spec?: Partial<LaunchSpec>;
  readonly settings?: Partial<Config>;
  readonly env?: Record<string, string>;
  readonly owner?: ProcessOwner;
  readonly spawnError?: NodeJS.ErrnoException;
}

/** Starts a process in a fake terminal. */
function startProcess({ spec = {}, settings = {}, env = {}, owner = NO_OWNER, spawnError }: StartOptions = {}) {
  const clock = new ManualClock();
  const paths = pathsFor(join(home, "state"));
  const config = {
    ...defaults(paths),
    claudeBin: "/bin/true",
    readyTimeoutMs: READY_TIMEOUT_MS,
    ...settings,
  };
  let pty: FakePty | undefined;
  const spawn: SpawnPty = (argv, options) => {
    if (spawnError) throw spawnError;
    pty = new FakePty(argv, options);
    return pty;
  };
  const managed = { channelAllowed: true, channelsDisabled: false, hooksForbidden: false, pluginForbidden: false };
  const claudeEnv = { CLAUDE_CONFIG_DIR: join(home, "claude"), ...env };
  const launcher = createLauncher({
    limits: new AccountLimits(),
    config,
    paths,
    port: () => 1,
    managed,
    engines: createEngines({ config, paths, managed, env: claudeEnv, clock }),
    program: ["synthesis"],
    env: claudeEnv,
    clock,
    spawn,
  });
  const process = launcher.start(
    { ...launchSpec({ choice: { workspace }, engine: "interactive" }), ...spec },
    owner,
  ) as InteractiveProcess;
  const terminal = pty as unknown as FakePty;
  const logFile = terminal.argv[terminal.argv.indexOf("--debug-file") + 1] as string;
  open.push(() => terminal.exit());
  const log = (line: string) => appendFileSync(logFile, `2026-11-26T22:46:59.290Z [DEBUG] ${line}\n`);
  const connect = () => {
    const socket = { send: () => 1, close: () => {}, terminate: () => {} };
    const connection = new Connection(socket, process.bridge, new Pings(60 * 60_000));
    open.push(() => connection.closed());
    const hello = { type: "hello", protocol: PROTOCOL, pid: PID, openclaw_session: "x", claude_session: "y" };
    connection.receive(JSON.stringify({ ...hello, plugin_version: "test" }));
  };
  return {
    process,
    clock,
    terminal,
    paths,
    connect,
    log,
    /** Shows `text` on the process's screen. */
    show: async (text: string) => {
      terminal.options.onOutput(new TextEncoder().encode(`\x1b[2J\x1b[H${text.replaceAll("\n", "\r\n")}`));
      // The terminal emulator draws a little later.
      await Bun.sleep(20);
    },
    becomeReady: async () => {
      log("Channel notifications registered");
      connect();
      await process.ready;
    },
  };
}

const failureOf = (process: InteractiveProcess): Promise<BootFailure> =>
  process.ready.then(
    () => {
      throw new Error("The process became ready.");
    },
    (error) => {
      expect(error).toBeInstanceOf(BootFailure);
      return error;
    },
  );

/** An owner that records events. */
function recordingOwner(verdict: Promise<Verdict> = Promise.resolve({ behavior: "allow", message: "", rule: null })) {
  const events: ClaudeEvent["type"][] = [];
  const owner: ProcessOwner = {
    isBusy: () => true,
    parkedSince: () => null,
    releaseParked: () => {},
    onEvent: (_process, event) => void events.push(event.type),
    onPermission: () => verdict,
    onOversized: () => {},
  };
  return { owner, events };
}

const hook = (name: string, more: object = {}) =>
  ({ hook_event_name: name, session_id: "s", transcript_path: "", ...more }) as unknown as HookBody;
const permissionHook = hook("PermissionRequest", { tool_name: "Bash", tool_input: {} }) as PermissionHook;
const never = new AbortController().signal;

const trustDialog = ` Quick safety check: Is this a project you created or one you trust?

 ❯ No, exit
   Yes, I trust this folder`;

describe("a process that starts", () => {
  test("is ready when the channel is registered and the plugin is connected", async () => {
    const { process, log, connect, clock } = startProcess();
    log("Channel notifications registered");
    await clock.pass(LOOK_MS);
    expect([process.state, process.isUsable]).toEqual(["starting", true]);
    connect();

    await process.ready;
    expect([process.state, process.connected]).toEqual(["ready", true]);
  });

  test("gets a key for a dialog at the second look, and again only when the key had no effect", async () => {
    const { show, clock, terminal } = startProcess();
    await show(trustDialog);
    await clock.pass(LOOK_MS);
    expect(terminal.keys).toEqual([]);
    await clock.pass(LOOK_MS);
    expect(terminal.keys).toEqual(["\x1b[B"]);
    await clock.pass(3 * LOOK_MS);
    expect(terminal.keys).toHaveLength(1);
    await clock.pass(LOOK_MS);
    expect(terminal.keys).toHaveLength(2);
  });

  test("notes that settings deny it the client's tools", () => {
    mkdirSync(join(workspace, ".claude"));
    writeFileSync(join(workspace, ".claude/settings.json"), JSON.stringify({ permissions: { deny: ["mcp__*"] } }));

    expect(startProcess().process.takeNotes()).toEqual([]);
    const { process } = startProcess({ spec: { tools: catalogueOf("a") } });
    expect(process.takeNotes()).toEqual([expect.stringContaining("permissions.deny: mcp__* in ")]);
    expect(process.takeNotes()).toEqual([]);
  });
});

describe("a start fails", () => {
  test("when Claude Code refuses the channel", async () => {
    const { process, log, clock, terminal } = startProcess();
    log("Channel notifications skipped: channels are not currently available");
    await clock.pass(LOOK_MS);

    expect(await failureOf(process)).toMatchObject({ reason: "channel_refused", code: "channel_refused" });
    expect(terminal.signals).toEqual(["SIGTERM"]);
  });

  test("when no user is logged in", async () => {
    const { process, show, log, connect } = startProcess();
    await show(`${"─".repeat(60)}\n❯ \n${"─".repeat(60)}\n  Not logged in · run /login`);
    log("Channel notifications registered");
    connect();

    expect(await failureOf(process)).toMatchObject({ reason: "not_logged_in", code: "claude_not_logged_in" });
  });

  test("at a dialog that only the user may answer", async () => {
    const { process, show, clock, terminal } = startProcess({ spec: { trusted: false } });
    await show(trustDialog);
    await clock.pass(LOOK_MS);

    const failure = await failureOf(process);
    expect(failure).toMatchObject({ reason: "dialog", code: "claude_not_ready", retryAfter: undefined });
    expect(failure.message).toContain("Yes, I trust this folder");
    expect(failure.summary).not.toContain("Yes, I trust this folder");
    expect(terminal.keys).toEqual([]);
  });

  test("at an unknown dialog, when the time is up", async () => {
    const { process, show, clock } = startProcess();
    await show("  Something new\n\n  ❯ 1. Yes\n    2. No");
    await clock.pass(READY_TIMEOUT_MS);

    expect(await failureOf(process)).toMatchObject({ reason: "dialog", retryAfter: undefined });
  });

  test("when the time is up, and a retry may help", async () => {
    const { process, clock } = startProcess();
    await clock.pass(READY_TIMEOUT_MS);

    expect(await failureOf(process)).toMatchObject({ reason: "timeout", code: "claude_not_ready", retryAfter: 30 });
  });

  test("when a variable of the user turns plugins off", async () => {
    const { process, clock } = startProcess({ env: { CLAUDE_CODE_SAFE_MODE: "1" } });
    await clock.pass(READY_TIMEOUT_MS);

    expect(await failureOf(process)).toMatchObject({ reason: "plugins_disabled", retryAfter: undefined });
  });

  test.each<[what: string, exit: Partial<Exit>, screen: string, expected: object]>([
    ["by itself", { code: 1 }, "", { reason: "exited", retryAfter: undefined }],
    ["by a signal", { signal: "SIGKILL" }, "", { reason: "exited", retryAfter: 5 }],
    [
      "because there is no such session",
      { code: 1 },
      "No conversation found with session ID: x",
      { reason: "session_not_found" },
    ],
  ])("when the process exits %s", async (_what, exit, screen, expected) => {
    const { process, show, terminal } = startProcess();
    await show(screen);
    terminal.exit(exit);

    expect(await failureOf(process)).toMatchObject({ code: "claude_not_ready", ...expected });
  });

  test("when the process is stopped", async () => {
    const { process } = startProcess();
    void process.stop();

    expect(await failureOf(process)).toMatchObject({ reason: "stopped", retryAfter: 1 });
  });
});

describe("a process cannot be started at all", () => {
  test.each<[systemError: string, expected: object]>([
    ["ENOENT", { code: "claude_not_found", retryAfter: undefined }],
    ["EAGAIN", { code: "claude_not_ready", retryAfter: 5 }],
  ])("after %s from the system, and leaves no folder", (code, expected) => {
    const spawnError = Object.assign(new Error("spawn failed"), { code });

    expect(() => startProcess({ spawnError })).toThrow(expect.objectContaining(expected));
    expect(readdirSync(join(home, "state/run"))).toEqual([]);
  });

  test("without its program", () => {
    const claudeBin = join(home, "no-claude");

    expect(() => startProcess({ settings: { claudeBin } })).toThrow(
      expect.objectContaining({ code: "claude_not_found" }),
    );
  });

  test("when a setting blocks the plugin", () => {
    mkdirSync(join(workspace, ".claude"));
    writeFileSync(join(workspace, ".claude/settings.json"), JSON.stringify({ allowedMcpServers: [] }));

    expect(() => startProcess()).toThrow(expect.objectContaining({ code: "claude_not_ready" }));
    expect(existsSync(join(home, "state/run"))).toBe(false);
  });
});

describe("stop", () => {
  test("sends SIGTERM once, and SIGKILL after 5 s", async () => {
    const { process, becomeReady, clock, terminal } = startProcess();
    await becomeReady();
    void process.stop();
    void process.stop();
    expect([process.state, terminal.signals]).toEqual(["draining", ["SIGTERM"]]);
    await clock.pass(4_900);
    expect(terminal.signals).toEqual(["SIGTERM"]);
    await clock.pass(200);

    expect(terminal.signals).toEqual(["SIGTERM", "SIGKILL"]);
  });

  test("sends SIGKILL 2.5 s after Claude Code has reported the end of its session", async () => {
    const { process, becomeReady, clock, terminal } = startProcess();
    await becomeReady();
    void process.stop();
    process.receiveHook(hook("SessionEnd"));
    await clock.pass(2_600);

    expect(terminal.signals).toEqual(["SIGTERM", "SIGKILL"]);
  });

  test("sends no signal to a process that has exited", async () => {
    const { process, terminal, clock } = startProcess();
    terminal.exit({ code: 0 });
    await process.exited;
    process.kill();
    await process.stop();
    await clock.pass(10_000);

    expect(terminal.signals).toEqual([]);
  });
});

describe("the exit of a process", () => {
  test("removes its folder, ends its viewers and timers, and is its last event", async () => {
    const { owner, events } = recordingOwner();
    const { process, becomeReady, clock, terminal, paths } = startProcess({ owner });
    await becomeReady();
    let viewers = 1;
    process.show({
      draw: () => {},
      end: () => {
        viewers -= 1;
      },
    });
    process.receiveHook(hook("Stop"));
    terminal.exit({ signal: "SIGKILL" });

    expect(await process.exited).toEqual({ code: null, signal: "SIGKILL" });
    expect([events.at(-1), process.state, viewers]).toEqual(["exit", "exited", 0]);
    expect(readdirSync(paths.run)).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  test("is complete even if the owner fails to handle it", async () => {
    const { owner } = recordingOwner();
    const failing = {
      ...owner,
      onEvent: () => {
        throw new Error("a fault of the owner");
      },
    };
    const { process, terminal } = startProcess({ owner: failing });
    terminal.exit({ code: 0 });

    expect(await process.exited).toEqual({ code: 0, signal: null });
  });
});

describe("the owner of a process", () => {
  test("receives its events in the order of arrival", async () => {
    const { owner, events } = recordingOwner();
    const { process, becomeReady } = startProcess({ owner });
    await becomeReady();
    process.receiveHook(hook("Stop"));

    expect(events).toEqual(["connection", "hook"]);
  });

  test("is missing for a prewarmed process, which is idle and denies permissions", async () => {
    const { process } = startProcess();

    expect(process.owner.isBusy()).toBe(false);
    expect(await process.askPermission(permissionHook, never)).toMatchObject({ behavior: "deny" });
  });

  test("is the conversation that adopts a prewarmed process", async () => {
    const { process } = startProcess();
    const { owner, events } = recordingOwner();
    process.assignTo({ ...process.spec, sessionKey: "user:new" }, owner);
    process.receiveHook(hook("Stop"));

    expect([process.spec.sessionKey, process.owner.isBusy(), events]).toEqual(["user:new", true, ["hook"]]);
    expect(await process.askPermission(permissionHook, never)).toMatchObject({ behavior: "allow" });
  });

  test("is not hurried while a permission prompt waits for a person", async () => {
    const verdict = Promise.withResolvers<Verdict>();
    const { owner } = recordingOwner(verdict.promise);
    const { process, clock } = startProcess({ owner });
    const answered = process.askPermission(permissionHook, never);
    await clock.pass(60_000);
    expect(process.lastOutputAt).toBe(clock.now());

    verdict.resolve({ behavior: "allow", message: "", rule: null });
    await answered;
    const answeredAt = clock.now();
    await clock.pass(1_000);
    expect(process.lastOutputAt).toBe(answeredAt);
  });
});
