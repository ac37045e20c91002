/**
 * One running claude: its PTY and screen, its plugin's connection, its two tokens. Whatever it does
 * (hooks, connection, exit) goes out as one stream of events, in the order of arrival.
 */
import { rmSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import type { Config } from "../config/schema.ts";
import { ApiError } from "../openai/errors.ts";
import { argumentsOf, type Catalogue, type ToolCall } from "../openai/tools.ts";
import {
  CLOSE,
  type ReplyFrame,
  type ToolCallFrame,
  type ToolContent,
  type ToolDefinition,
  type ToolResultFrame,
} from "../wire/frames.ts";
import type { HookBody, Verdict } from "../wire/hooks.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import { type ChannelState, type DebugLog, watchDebugLog } from "./debug-log.ts";
import { advise, saysNotLoggedIn } from "./dialogs.ts";
import { type LaunchSpec, prepareLaunch } from "./launch.ts";
import { endLeftovers } from "./leftovers.ts";
import type { ManagedSettings } from "./managed-settings.ts";
import { COLUMNS, createScreen, lastLines, ROWS, type Screen } from "./screen.ts";
import type { SessionFolder, SessionStatus } from "./session-file.ts";
import { newToken } from "./tokens.ts";

const log = getLogger(["synthesis", "process"]);

/** Between two looks at the screen while claude starts. A dialog is answered at the second look that finds it. */
const LOOK_MS = 100;
/** After which a key that did nothing is taken for lost and pressed again. */
const PRESS_AGAIN_MS = 400;
/** How long a plugin whose socket dropped may take to come back. */
const RECONNECT_GRACE_MS = 10_000;
/** So many ids of replies are remembered, to take none twice. */
const REMEMBERED_REPLIES = 16;
/** How long claude may take to ask for tools that have changed, which it does once in a second at most. */
const LISTING_MS = 3_000;
/** claude draws everything anew when its terminal changes its size; for so long the size is another one. */
const RESIZED_MS = 50;
/** From SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 5_000;
/** The same when claude has said that its session has ended: what it then may still wait for is its telemetry. */
const KILL_ENDED_AFTER_MS = 1_000;

export type ProcessState = "starting" | "ready" | "draining" | "gone";

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export type ClaudeEvent =
  | { readonly type: "hook"; readonly hook: HookBody }
  | { readonly type: "connection"; readonly open: boolean }
  | { readonly type: "reply"; readonly frame: ReplyFrame }
  /** claude calls a tool of the client's; `answerCall` is its answer. */
  | { readonly type: "call"; readonly call: ToolCall }
  /** claude does not wait for a call's result any more. */
  | { readonly type: "call_cancelled"; readonly id: string }
  /** claude's own word on whether it works has changed, perhaps; `status` says what it is. */
  | { readonly type: "status" }
  | { readonly type: "exit"; readonly exit: Exit };

/** Somebody who looks at claude's terminal. */
export interface Viewer {
  /** Takes what claude writes on it. */
  draw(bytes: Uint8Array): void;
  /** claude is gone. */
  end(): void;
}

export type PermissionHook = HookBody & { hook_event_name: "PermissionRequest" };

const NOBODY: Verdict = { behavior: "deny", message: "Nobody can be asked.", rule: null };

export interface ProcessPlace {
  readonly port: number;
  /** This process's own folder; it is removed with the process. */
  readonly folder: string;
  readonly plugin: string;
  readonly managed: ManagedSettings;
  readonly sessionFolder: SessionFolder;
}

export class ClaudeProcess implements ConnectionOwner {
  readonly bridgeToken = newToken();
  readonly hookToken = newToken();
  /** Resolves when messages can be sent; rejects with an ApiError when that will never be. */
  readonly ready: Promise<void>;
  readonly exited: Promise<Exit>;
  /** The conversation listens here. */
  onEvent: (event: ClaudeEvent) => void = () => {};
  /** The conversation answers here what claude asks. */
  onPermission: (hook: PermissionHook, signal: AbortSignal) => Promise<Verdict> = async () => NOBODY;
  /** Says whether the process works for somebody. The conversation knows; nobody else does. */
  isBusy: () => boolean = () => false;
  /** The conversation restarts it here, since it has grown too large. */
  onOutgrown: () => void = () => {};
  /** What it and all that it has started take, in bytes, as last measured; null before that. */
  memory: number | null = null;
  /** When it last did something for somebody, in ms of `performance.now()`. */
  lastActiveAt = performance.now();

  #spec: LaunchSpec;
  readonly #config: Config;
  readonly #place: ProcessPlace;
  readonly #child: Bun.Subprocess;
  /** Drawn until claude is ready; nobody looks at it later, and it costs time and memory. */
  #screen: Screen | null = createScreen();
  readonly #viewers = new Set<Viewer>();
  #lastSignAt = performance.now();
  /** Its questions that wait for a person. */
  #questions = 0;
  #resize: Timer | undefined;
  readonly #debugLog: DebugLog;
  readonly #whenReady = Promise.withResolvers<void>();
  readonly #look: Timer;
  readonly #startDeadline: Timer;
  #killTimer: Timer | undefined;
  #unwatchStatus: (() => void) | undefined;
  #isShared = false;
  #hasWorked = false;
  #state: ProcessState = "starting";
  #connection: Connection | null = null;
  /** While the socket is away: resolves with whether it came back in time. */
  #reconnection: (PromiseWithResolvers<boolean> & { grace: Timer }) | null = null;
  #channel: ChannelState | null = null;
  /** As its plugin sees it: a wrapper may stand between claude and us. */
  #claudePid: number | null = null;
  readonly #replies: string[] = [];
  /** What may be called. */
  #catalogue: Catalogue;
  /** All that claude has been offered. */
  readonly #offered = new Map<string, ToolDefinition>();
  #revision = 0;
  /** Resolves when claude has asked for the newest tools; null when it knows them. */
  #listing: PromiseWithResolvers<void> | null = null;
  /** Calls that have reached us, by their ids, with their results where there are any. */
  readonly #calls = new Map<string, ToolResultFrame | null>();
  #pressed = { what: "", at: 0 };

  /** @throws ApiError (503) when the program cannot be started at all */
  constructor(spec: LaunchSpec, place: ProcessPlace, config: Config, parentEnv: Record<string, string | undefined>) {
    this.#spec = spec;
    this.#catalogue = spec.tools;
    for (const [name, { definition }] of spec.tools) this.#offered.set(name, definition);
    this.#config = config;
    this.#place = place;
    const launch = prepareLaunch(
      spec,
      { ...place, bridgeToken: this.bridgeToken, hookToken: this.hookToken },
      config,
      parentEnv,
    );
    // All that can fail comes before the spawn: a claude must not run that nobody knows of.
    this.#debugLog = watchDebugLog(launch.debugFile, (state) => {
      this.#channel = state;
      this.#lookAtStart();
    });
    try {
      this.#child = Bun.spawn(launch.argv, {
        cwd: spec.choice.workspace,
        env: launch.env,
        terminal: {
          cols: COLUMNS,
          rows: ROWS,
          // Always read: a PTY that nobody reads stops claude after a few turns.
          data: (_terminal, bytes) => {
            this.noteSign();
            this.#screen?.write(bytes);
            for (const viewer of this.#viewers) viewer.draw(bytes);
          },
        },
      });
    } catch (error) {
      this.#debugLog.close();
      this.#closeScreen();
      rmSync(place.folder, { recursive: true, force: true });
      throw new ApiError(
        "claude_not_found",
        `Claude Code could not be started: ${(error as Error).message}. \`synthesis doctor\` says more.`,
        null,
        60,
      );
    }
    this.ready = this.#whenReady.promise;
    // Whoever waits for it gets the error; nobody may wait.
    this.ready.catch(() => {});
    this.exited = this.#child.exited.then(() => this.#gone());
    this.#look = setInterval(() => {
      this.#debugLog.check();
      this.#lookAtStart();
    }, LOOK_MS);
    this.#startDeadline = setTimeout(
      () => this.#failStart(`Claude Code was not ready after ${config.readyTimeoutMs} ms.`),
      config.readyTimeoutMs,
    );
    log.info("claude started", { session: spec.sessionKey, pid: this.pid, resume: spec.resume });
  }

  get spec(): LaunchSpec {
    return this.#spec;
  }

  /** From now on it is this conversation's; it has been nobody's so far. */
  adopt(sessionKey: string): void {
    log.info("spare adopted", { session: sessionKey, pid: this.pid, spare: this.spec.sessionKey });
    this.#spec = { ...this.spec, sessionKey };
    this.lastActiveAt = performance.now();
  }

  /** How one is to be started that takes its place. */
  get successor(): LaunchSpec {
    return { ...this.spec, tools: this.#catalogue, resume: true };
  }

  /** It can be sent messages, now or soon. */
  get isUsable(): boolean {
    return this.#state === "starting" || (this.#state === "ready" && this.connected);
  }

  /** It has had a message since it was started. */
  get hasWorked(): boolean {
    return this.#hasWorked;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get offer() {
    return { mode: this.#config.reply, tools: this.#definitions };
  }

  get #definitions() {
    return [...this.#offered.values()];
  }

  /** When it last gave any sign of life (screen, hook, reply), in ms of `performance.now()`; now, while it waits for a person. */
  get lastSignAt(): number {
    return this.#questions > 0 ? performance.now() : this.#lastSignAt;
  }

  noteSign(): void {
    this.#lastSignAt = performance.now();
  }

  /** Another claude has had this session open, too: what it has added to the record, this one does not know. */
  get isShared(): boolean {
    return this.#isShared;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get connected(): boolean {
    return this.#connection !== null;
  }

  /** Whether claude works, as it says itself; null when it does not say. */
  get status(): SessionStatus | null {
    return this.#claudePid === null ? null : this.#place.sessionFolder.read(this.#claudePid);
  }

  /**
   * Pushes a message into claude's channel. False when the plugin is not there to take it.
   * @param images paths of the images that came with it
   * @param again claude never took it: it is pushed although the plugin has passed its id on before
   */
  send(messageId: string, chatId: string, content: string, images: readonly string[], again = false): boolean {
    this.lastActiveAt = performance.now();
    this.#hasWorked = true;
    // claude waits for no call of an earlier message.
    if (!again) this.#calls.clear();
    // message_id first: what the conversation's key may hold comes after it in the tag.
    const meta = {
      message_id: messageId,
      chat_id: chatId,
      ts: new Date().toISOString(),
      ...Object.fromEntries(images.map((path, index) => [`image_${index + 1}`, path])),
    };
    return this.#connection?.push({ type: "inbound", content, meta, ...(again ? { again } : {}) }) ?? false;
  }

  /**
   * Offers claude these tools; resolves when it has them, or does not ask for them. What was offered before
   * stays in its list: a tool that is taken off, claude shows to the model all the same, and answers a call of
   * it itself.
   */
  async offerTools(catalogue: Catalogue): Promise<void> {
    this.#catalogue = catalogue;
    const before = this.#definitions;
    for (const [name, { definition }] of catalogue) this.#offered.set(name, definition);
    if (this.#listing === null && Bun.deepEquals(before, this.#definitions)) return;
    this.#revision += 1;
    const listing = Promise.withResolvers<void>();
    this.#listing = listing;
    this.#pushTools();
    const late = setTimeout(() => {
      log.warning("claude does not ask for its tools", { session: this.spec.sessionKey, pid: this.pid });
      listing.resolve();
    }, LISTING_MS);
    await listing.promise;
    clearTimeout(late);
  }

  #pushTools(): void {
    this.#connection?.push({ type: "tools", revision: this.#revision, tools: this.#definitions });
  }

  receiveListed(revision: number): void {
    if (revision !== this.#revision) return;
    this.#listing?.resolve();
    this.#listing = null;
  }

  receiveCall({ id, name, arguments: given }: ToolCallFrame): void {
    this.lastActiveAt = performance.now();
    this.noteSign();
    const known = this.#calls.get(id);
    if (known !== undefined) {
      // Asked again after a dropped socket: the result may have been lost with it.
      if (known) this.#connection?.push(known);
      return;
    }
    this.#calls.set(id, null);
    log.debug("call received", { session: this.spec.sessionKey, pid: this.pid });
    const tool = this.#catalogue.get(name);
    if (tool) this.onEvent({ type: "call", call: { id, name: tool.name, arguments: argumentsOf(tool, given) } });
    else this.answerCall(id, [{ type: "text", text: `The tool ${name} is no longer offered.` }], true);
  }

  receiveCancel(id: string): void {
    this.onEvent({ type: "call_cancelled", id });
  }

  /** Gives claude the result of a call. The first one counts. */
  answerCall(id: string, content: readonly ToolContent[], isError: boolean): void {
    if (this.#calls.get(id)) return;
    const result: ToolResultFrame = { type: "tool_result", id, content, is_error: isError };
    this.#calls.set(id, result);
    this.#connection?.push(result);
  }

  /** Takes what a hook of this claude's posted. */
  receiveHook(hook: HookBody): void {
    this.lastActiveAt = performance.now();
    this.noteSign();
    if (hook.hook_event_name === "SessionEnd" && this.#state === "draining") this.#killAfter(KILL_ENDED_AFTER_MS);
    this.onEvent({ type: "hook", hook });
  }

  /** Puts a question of this claude's. @param signal aborted when claude no longer wants to know */
  async askPermission(hook: PermissionHook, signal: AbortSignal): Promise<Verdict> {
    this.#questions += 1;
    try {
      return await this.onPermission(hook, signal);
    } finally {
      this.#questions -= 1;
      this.noteSign();
    }
  }

  /** Takes what claude sends with the reply tool. */
  receiveReply(frame: ReplyFrame): void {
    this.lastActiveAt = performance.now();
    this.noteSign();
    if (frame.id !== undefined) {
      // Sent again after a dropped socket: it was taken the first time.
      if (this.#replies.includes(frame.id)) return;
      this.#replies.push(frame.id);
      if (this.#replies.length > REMEMBERED_REPLIES) this.#replies.shift();
    }
    this.onEvent({ type: "reply", frame });
  }

  attach(connection: Connection): void {
    this.#connection?.close(CLOSE.REPLACED, "replaced by reconnect");
    this.#connection = connection;
    this.#claudePid = connection.pid;
    this.#endReconnection(true);
    if (this.#listing) this.#pushTools();
    this.onEvent({ type: "connection", open: true });
    this.#debugLog.check();
    this.#lookAtStart();
  }

  detach(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    if (this.#state === "ready") {
      const grace = setTimeout(() => this.#endReconnection(false), RECONNECT_GRACE_MS);
      this.#reconnection = { ...Promise.withResolvers<boolean>(), grace };
    }
    this.onEvent({ type: "connection", open: false });
  }

  /** Whether messages can be sent; waits for a plugin that is reconnecting, as long as it may take. */
  async isConnected(): Promise<boolean> {
    return this.#reconnection ? this.#reconnection.promise : this.#connection !== null;
  }

  #endReconnection(connected: boolean): void {
    if (!this.#reconnection) return;
    clearTimeout(this.#reconnection.grace);
    this.#reconnection.resolve(connected);
    this.#reconnection = null;
  }

  /** Tells claude to stop what it does. At an idle prompt two of these open a menu behind which messages wait. */
  pressEscape(): void {
    if (this.#state === "ready") this.#child.terminal?.write("\x1b");
  }

  /**
   * Shows the terminal to a viewer: all of it as soon as claude is ready, and what claude writes.
   * @returns ends it; how many others still look
   */
  show(viewer: Viewer): () => number {
    this.#viewers.add(viewer);
    this.ready.then(
      () => this.#redraw(),
      () => {},
    );
    return () => {
      this.#viewers.delete(viewer);
      return this.#viewers.size;
    };
  }

  #redraw(): void {
    if (this.#state !== "ready") return;
    clearTimeout(this.#resize);
    this.#child.terminal?.resize(COLUMNS - 1, ROWS);
    this.#resize = setTimeout(() => this.#child.terminal?.resize(COLUMNS, ROWS), RESIZED_MS);
  }

  /** Ends the process, politely first, and resolves when it is gone. */
  stop(): Promise<Exit> {
    if (this.#state !== "gone" && this.#killTimer === undefined) {
      this.#endStart();
      this.#whenReady.reject(new ApiError("claude_not_ready", "Claude Code was stopped before it was ready.", null, 1));
      this.#state = "draining";
      this.#child.kill("SIGTERM");
      this.#killAfter(KILL_AFTER_MS);
    }
    return this.exited;
  }

  #killAfter(ms: number): void {
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.#child.kill("SIGKILL"), ms);
  }

  /** Ends it at once. */
  kill(): void {
    if (this.#state !== "gone") this.#child.kill("SIGKILL");
  }

  /** One look at a claude that is not ready yet: is it now, does it refuse, does it ask something? */
  #lookAtStart(): void {
    if (this.#state !== "starting") return;
    if (this.#channel?.registered === false) {
      this.#failStart(channelRefused(this.#channel.why), "channel_refused");
      return;
    }
    const screen = this.#screen?.text() ?? "";
    if (!this.#connection || !this.#channel?.registered) {
      const { trusted } = this.spec;
      const advice = advise(screen, { trusted, useApiKey: this.#config.useApiKey });
      if (advice && "refuse" in advice) this.#failStart(advice.refuse);
      else if (advice && advice.key !== "") this.#press(advice.dialog, advice.key);
    } else if (saysNotLoggedIn(screen)) {
      const message = "Claude Code is not logged in. Run `claude` in a terminal and use /login.";
      this.#failStart(message, "claude_not_logged_in");
    } else {
      this.#endStart();
      this.#state = "ready";
      this.#closeScreen();
      this.#unwatchStatus = this.#place.sessionFolder.watch({
        pid: this.#connection.pid,
        claudeSession: this.spec.claudeSession,
        onChange: () => this.onEvent({ type: "status" }),
        onRival: (rival) => {
          if (this.#isShared) return;
          this.#isShared = true;
          log.warning("another claude has opened this session", {
            session: this.spec.sessionKey,
            pid: this.pid,
            rival,
          });
        },
      });
      log.info("claude ready", { session: this.spec.sessionKey, pid: this.pid });
      this.#whenReady.resolve();
    }
  }

  #press(dialog: string, key: string): void {
    const what = `${dialog} ${key}`;
    const now = performance.now();
    // The first look only notes it: a key sent right after a dialog is painted is often lost.
    if (this.#pressed.what !== what) this.#pressed = { what, at: now - PRESS_AGAIN_MS + LOOK_MS / 2 };
    else if (now - this.#pressed.at >= PRESS_AGAIN_MS) {
      this.#pressed.at = now;
      log.debug("dialog answered: {dialog}", { dialog, pid: this.pid });
      this.#child.terminal?.write(key);
    }
  }

  #failStart(
    message: string,
    code: "claude_not_ready" | "channel_refused" | "claude_not_logged_in" = "claude_not_ready",
  ) {
    const screen = lastLines(this.#screen?.text() ?? "");
    const full = code === "claude_not_ready" && screen ? `${message} Its screen:\n${screen}` : message;
    this.#whenReady.reject(new ApiError(code, full, null, 30));
    log.warning("claude not ready: {message}", { session: this.spec.sessionKey, pid: this.pid, message });
    void this.stop();
  }

  #closeScreen(): void {
    this.#screen?.dispose();
    this.#screen = null;
  }

  #endStart(): void {
    clearInterval(this.#look);
    clearTimeout(this.#startDeadline);
  }

  #gone(): Exit {
    const { exitCode: code, signalCode } = this.#child;
    const signal = signalCode === null ? null : String(signalCode);
    const screen = lastLines(this.#screen?.text() ?? "");
    this.#endStart();
    clearTimeout(this.#killTimer);
    this.#state = "gone";
    this.#whenReady.reject(
      new ApiError(
        "claude_not_ready",
        `Claude Code ended while it started (${signal ?? `exit code ${code}`}).${screen ? ` Its screen:\n${screen}` : ""}`,
        null,
        30,
      ),
    );
    this.#unwatchStatus?.();
    clearTimeout(this.#resize);
    this.#child.terminal?.close();
    for (const viewer of this.#viewers) viewer.end();
    this.#debugLog.close();
    this.#closeScreen();
    this.#connection?.close(1000, "claude is gone");
    this.#endReconnection(false);
    try {
      endGroup(this.pid);
      endLeftovers(this.bridgeToken);
      rmSync(this.#place.folder, { recursive: true, force: true });
    } catch (error) {
      // The conversation goes on without; the next start of the server clears what is left.
      log.error("leftovers of claude could not be cleared: {error}", { pid: this.pid, error });
    }
    log.info("claude exited", { session: this.spec.sessionKey, pid: this.pid, code, signal });
    this.onEvent({ type: "exit", exit: { code, signal } });
    return { code, signal };
  }
}

/** Ends what claude left behind in its process group: its plugin, and with a crash its MCP servers. */
export function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // ESRCH: nobody was left. EPERM is macOS's word for a group of zombies.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

function channelRefused(why: string): string {
  const advice = /not currently available/.test(why)
    ? "Channels need a Claude Code that has been online once, and none of DISABLE_TELEMETRY, DO_NOT_TRACK, " +
      "DISABLE_GROWTHBOOK and CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC set."
    : /third-party/.test(why)
      ? "Channels do not work with Bedrock, Vertex or Foundry."
      : /org policy|allowlist|channels list/.test(why)
        ? "Your organisation's managed settings must have channelsEnabled and list the plugin `synthesis` of the " +
          "marketplace `inline` in allowedChannelPlugins."
        : "Run `claude --debug` for more.";
  return `Claude Code refuses the channel through which synthesis talks to it: ${why}. ${advice}`;
}
