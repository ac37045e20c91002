/**
 * One running claude: its PTY and screen, its plugin's connection, its two tokens. Whatever it does
 * (hooks, connection, exit) goes out as one stream of events, in the order of arrival.
 */

import { rmSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import { RequestError } from "../../core/errors.ts";
import { newToken } from "../../core/tokens.ts";
import { CLOSE, type ReplyFrame, type ToolCallFrame } from "../../wire/frames.ts";
import type { HookBody, Verdict } from "../../wire/hooks.ts";
import { findBlockingSettings, pluginBlocked } from "../blocking-settings.ts";
import { setsRetries } from "../environment.ts";
import type { ManagedSettings } from "../managed-settings.ts";
import { killGroup, killMarked, markOf } from "../process-mark.ts";
import { restrictingFiles } from "../restrictions.ts";
import type { SessionFolder, SessionStatus } from "../session-file.ts";
import { spawnFailed } from "../start-errors.ts";
import { mayBlockStop } from "../stop-hooks.ts";
import { Boot } from "./boot.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { ClaudeEvent, Exit, PermissionHook } from "./events.ts";
import { prepareLaunch } from "./launch.ts";
import type { LaunchSpec } from "./launch-spec.ts";
import { OfferedTools } from "./offered-tools.ts";
import { withOpenFolder } from "./open-folder.ts";
import { COLUMNS, ROWS } from "./screen.ts";

const log = getLogger(["synthesis", "process"]);

/** How long a plugin whose socket dropped may take to come back. */
const RECONNECT_GRACE_MS = 10_000;
/** So many ids of replies are remembered, to take none twice. */
const REMEMBERED_REPLIES = 16;
/**
 * Claude draws everything anew when its terminal changes its size; for so long the size is another one. A busy Claude
 * that sees both changes at once draws nothing.
 */
const RESIZED_MS = 300;
/** From SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 5_000;
/**
 * The same when claude has said that its session has ended: other hooks have 1.5 s from then on, and what it waits for
 * after that is its telemetry, where that does not come through.
 */
const KILL_ENDED_AFTER_MS = 2_500;

export type ProcessState = "starting" | "ready" | "draining" | "gone";

/** Somebody who looks at claude's terminal. */
export interface Viewer {
  /** Takes what claude writes on it. */
  draw(bytes: Uint8Array): void;
  /** claude is gone. */
  end(): void;
}

/** The conversation that a process works for. */
export interface ProcessOwner {
  /** Whether the process has work to do. The pool stops only processes that have none. */
  isBusy(): boolean;
  /** Receives everything that happens in the process, in the order of arrival. */
  onEvent(process: ClaudeProcess, event: ClaudeEvent): void;
  /** Decides a permission prompt. @param signal aborted when Claude no longer waits for the verdict */
  onPermission(hook: PermissionHook, signal: AbortSignal): Promise<Verdict>;
  /** The idle process exceeds its memory limit, so the owner should restart it. */
  onOversized(process: ClaudeProcess): void;
}

/** A user who sets one of these wants no plugin to run; that is said, and not overruled. */
const PLUGINS_OFF = ["CLAUDE_CODE_SAFE_MODE", "CLAUDE_CODE_SKIP_PLUGIN_MCP_SERVERS"];

/** The owner of a prewarmed process until a conversation adopts it. */
export const NO_OWNER: ProcessOwner = {
  isBusy: () => false,
  onEvent: () => {},
  onPermission: async () => ({ behavior: "deny", message: "No conversation owns this process yet.", rule: null }),
  onOversized: () => {},
};

export interface ProcessContext {
  readonly port: number;
  /** This process's own folder; it is removed with the process. */
  readonly folder: string;
  readonly program: readonly string[];
  readonly deny: readonly string[];
  readonly managed: ManagedSettings;
  readonly sessionFolder: SessionFolder;
}

export class ClaudeProcess implements ConnectionOwner {
  readonly bridgeToken = newToken();
  readonly hookToken = newToken();
  /** Resolves when messages can be sent; rejects with an ApiError when that will never be. */
  readonly ready: Promise<void>;
  readonly exited: Promise<Exit>;
  /** The client's tools, as claude has them. */
  readonly tools: OfferedTools;
  /** What it and all that it has started take, in bytes, as last measured; null before that. */
  memory: number | null = null;
  /** When it last did something for somebody, in ms of `performance.now()`. */
  lastUsedAt = performance.now();
  /** How many Stop hooks have run at the end of its last turn, ours among them; null before one has ended. */
  stopHooks: number | null = null;
  /** How often claude may have said whether it works; a look that found nothing new counts, too. */
  statusRevision = 0;

  #spec: LaunchSpec;
  #owner: ProcessOwner;
  readonly #config: Config;
  readonly #env: Record<string, string | undefined>;
  readonly #place: ProcessContext;
  readonly #child: Bun.Subprocess;
  readonly #start: Boot;
  readonly #viewers = new Set<Viewer>();
  #lastSignAt = performance.now();
  /** Its questions that wait for a person. */
  #questions = 0;
  #resize: Timer | undefined;
  readonly #whenReady = Promise.withResolvers<void>();
  #killTimer: Timer | undefined;
  #unwatchStatus: (() => void) | undefined;
  #isShared = false;
  #hasWorked = false;
  #state: ProcessState = "starting";
  #connection: Connection | null = null;
  /** While the socket is away: resolves with whether it came back in time. */
  #reconnection: (PromiseWithResolvers<boolean> & { grace: Timer }) | null = null;
  /** As its plugin sees it: a wrapper may stand between claude and us. */
  #claudePid: number | null = null;
  readonly #replies: string[] = [];

  /** @throws ApiError (503) when the program cannot be started at all */
  constructor(
    spec: LaunchSpec,
    owner: ProcessOwner,
    place: ProcessContext,
    config: Config,
    parentEnv: Record<string, string | undefined>,
  ) {
    this.#spec = spec;
    this.#owner = owner;
    const hindered = findBlockingSettings(spec.choice.workspace, parentEnv);
    const keptOut = hindered.find(({ blocks }) => blocks === "plugin");
    if (keptOut) throw pluginBlocked(keptOut);
    const about = () => ({ session: this.spec.sessionKey, pid: this.pid });
    this.tools = new OfferedTools(spec.tools, (frame) => void this.#connection?.push(frame), about);
    this.#config = config;
    this.#env = parentEnv;
    this.#place = place;
    const launch = prepareLaunch(
      spec,
      { ...place, bridgeToken: this.bridgeToken, hookToken: this.hookToken },
      config,
      parentEnv,
    );
    // All that can fail comes before the spawn: a claude must not run that nobody knows of.
    this.#start = new Boot({
      config,
      debugFile: launch.debugFile,
      workspace: spec.choice.workspace,
      withoutPlugins: PLUGINS_OFF.find((name) => parentEnv[name]),
      consent: {
        trusted: spec.trusted,
        useApiKey: config.useApiKey,
        restrictingFiles: restrictingFiles(spec.choice.workspace, parentEnv),
      },
      blockingSettings: hindered,
      wantsTools: spec.tools.size > 0 || config.reply === "tool",
      about,
      isConnected: () => this.connected,
      press: (key) => this.#child.terminal?.write(key),
      onReady: () => this.#noteReady(),
      onApi: (sign) => this.#emit({ type: "api", sign }),
      onFailure: (error) => {
        this.#whenReady.reject(error);
        void this.stop();
      },
    });
    try {
      this.#child = withOpenFolder(spec.choice.workspace, (cwd) =>
        Bun.spawn(launch.argv, {
          cwd,
          env: launch.env,
          terminal: {
            cols: COLUMNS,
            rows: ROWS,
            // Always read: a PTY that nobody reads stops claude after a few turns.
            data: (_terminal, bytes) => {
              this.noteOutput();
              this.#start.draw(bytes);
              for (const viewer of this.#viewers) viewer.draw(bytes);
            },
          },
        }),
      );
    } catch (error) {
      this.#start.close();
      rmSync(place.folder, { recursive: true, force: true });
      throw error instanceof RequestError ? error : spawnFailed(error as Error);
    }
    this.ready = this.#whenReady.promise;
    // Whoever waits for it gets the error; nobody may wait.
    this.ready.catch(() => {});
    this.exited = this.#child.exited.then(() => this.#gone());
    try {
      this.#start.begin();
      log.info("claude started", { session: spec.sessionKey, pid: this.pid, resume: spec.resume });
    } catch (error) {
      // The pool never gets this process, and could not end it.
      this.kill();
      throw error;
    }
  }

  get spec(): LaunchSpec {
    return this.#spec;
  }

  get isBusy(): boolean {
    return this.#owner.isBusy();
  }

  /** Gives a prewarmed process to a conversation. */
  assignTo(sessionKey: string, owner: ProcessOwner): void {
    log.info("spare adopted", { session: sessionKey, pid: this.pid, spare: this.spec.sessionKey });
    this.#spec = { ...this.spec, sessionKey };
    this.#owner = owner;
    this.lastUsedAt = performance.now();
  }

  /** What its clients lose by how it was started, in sentences. Each is given once. */
  takeNotes(): readonly string[] {
    return this.#start.takeNotes();
  }

  /** How one is to be started that takes its place. */
  get successor(): LaunchSpec {
    return { ...this.spec, tools: this.tools.catalogue, resume: true };
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
    return { mode: this.#config.reply, tools: this.tools.definitions };
  }

  /** When it last gave any sign of life (screen, hook, reply), in ms of `performance.now()`; now, while it waits for a person. */
  get lastOutputAt(): number {
    return this.#questions > 0 ? performance.now() : this.#lastSignAt;
  }

  noteOutput(): void {
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

  /** The user has said how often it shall make a failed model request again. */
  get hasOwnRetries(): boolean {
    return setsRetries(this.#env);
  }

  /** A hook of the user's may keep it going after a `Stop`. It must say by itself whether it works: else nothing tells. */
  get mayContinueAfterStop(): boolean {
    return this.status !== null && mayBlockStop(this.spec.choice.workspace, this.stopHooks, this.#env);
  }

  /**
   * Pushes a message into claude's channel. False when the plugin is not there to take it.
   * @param attachments attributes of its channel tag that name the files that came with it
   * @param again claude never took it: it is pushed although the plugin has passed its id on before
   */
  send(
    messageId: string,
    chatId: string,
    content: string,
    attachments: Readonly<Record<string, string>>,
    again = false,
  ): boolean {
    this.lastUsedAt = performance.now();
    this.#hasWorked = true;
    // claude waits for no call of an earlier message.
    if (!again) this.tools.forgetCalls();
    // message_id first: what the conversation's key may hold comes after it in the tag.
    const meta = {
      message_id: messageId,
      chat_id: chatId,
      ts: new Date().toISOString(),
      ...attachments,
    };
    return this.#connection?.push({ type: "inbound", content, meta, ...(again ? { again } : {}) }) ?? false;
  }

  receiveListed(revision: number): void {
    this.tools.noteListed(revision);
  }

  receiveCall(frame: ToolCallFrame): void {
    this.lastUsedAt = performance.now();
    this.noteOutput();
    const call = this.tools.receive(frame);
    if (call) this.#emit({ type: "call", call });
  }

  receiveCancel(id: string): void {
    this.#emit({ type: "call_cancelled", id });
  }

  /** Takes what a hook of this claude's posted. */
  receiveHook(hook: HookBody): void {
    this.lastUsedAt = performance.now();
    this.noteOutput();
    if (hook.hook_event_name === "SessionEnd" && this.#state === "draining") this.#killAfter(KILL_ENDED_AFTER_MS);
    this.#emit({ type: "hook", hook });
  }

  /** Puts a question of this claude's. @param signal aborted when claude no longer wants to know */
  async askPermission(hook: PermissionHook, signal: AbortSignal): Promise<Verdict> {
    this.#questions += 1;
    try {
      return await this.#owner.onPermission(hook, signal);
    } finally {
      this.#questions -= 1;
      this.noteOutput();
    }
  }

  /** Takes what claude sends with the reply tool. */
  receiveReply(frame: ReplyFrame): void {
    this.lastUsedAt = performance.now();
    this.noteOutput();
    if (frame.id !== undefined) {
      // Sent again after a dropped socket: it was taken the first time.
      if (this.#replies.includes(frame.id)) return;
      this.#replies.push(frame.id);
      if (this.#replies.length > REMEMBERED_REPLIES) this.#replies.shift();
    }
    this.#emit({ type: "reply", frame });
  }

  attach(connection: Connection): void {
    this.#connection?.close(CLOSE.REPLACED, "replaced by reconnect");
    this.#connection = connection;
    this.#claudePid = connection.pid;
    this.#endReconnection(true);
    this.tools.repeat();
    this.#emit({ type: "connection", open: true });
    this.#start.check();
  }

  detach(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    if (this.#state === "ready") {
      const grace = setTimeout(() => this.#endReconnection(false), RECONNECT_GRACE_MS);
      this.#reconnection = { ...Promise.withResolvers<boolean>(), grace };
    }
    this.#emit({ type: "connection", open: false });
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
      this.#start.end();
      this.#whenReady.reject(
        new RequestError("claude_not_ready", "Claude Code was stopped before it was ready. Send the message again.", {
          retryAfter: 1,
        }),
      );
      this.#state = "draining";
      this.#child.kill("SIGTERM");
      this.#killAfter(KILL_AFTER_MS);
    }
    return this.exited;
  }

  /** The pool measured that this idle process exceeds its memory limit. */
  reportOversized(): void {
    this.#owner.onOversized(this);
  }

  #emit(event: ClaudeEvent): void {
    this.#owner.onEvent(this, event);
  }

  #killAfter(ms: number): void {
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.#child.kill("SIGKILL"), ms);
  }

  /** Ends it at once. */
  kill(): void {
    if (this.#state !== "gone") this.#child.kill("SIGKILL");
  }

  #noteReady(): void {
    this.#state = "ready";
    this.#unwatchStatus = this.#place.sessionFolder.watch({
      pid: this.#claudePid ?? this.pid,
      claudeSession: this.spec.claudeSession,
      onChange: () => {
        this.statusRevision += 1;
        this.#emit({ type: "status" });
      },
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

  #gone(): Exit {
    const { exitCode: code, signalCode } = this.#child;
    const signal = signalCode === null ? null : String(signalCode);
    const screen = this.#start.lastLines;
    clearTimeout(this.#killTimer);
    this.#state = "gone";
    this.#whenReady.reject(
      new RequestError(
        "claude_not_ready",
        `Claude Code ended while it started (${signal ?? `exit code ${code}`}). \`synthesis doctor --live\` says more, ` +
          `and so may \`claude\`, run once in ${this.spec.choice.workspace}.${screen ? ` Its screen:\n${screen}` : ""}`,
        { retryAfter: signal === null ? undefined : 5 },
      ),
    );
    this.#unwatchStatus?.();
    clearTimeout(this.#resize);
    this.#child.terminal?.close();
    for (const viewer of this.#viewers) viewer.end();
    this.#start.close();
    this.#connection?.close(1000, "claude is gone");
    this.#endReconnection(false);
    try {
      killGroup(this.pid);
      killMarked(markOf(this.#place.folder));
      rmSync(this.#place.folder, { recursive: true, force: true });
    } catch (error) {
      // The conversation goes on without; the next start of the server clears what is left.
      log.error("leftovers of claude could not be cleared: {error}", { pid: this.pid, error });
    }
    log.info("claude exited", { session: this.spec.sessionKey, pid: this.pid, code, signal });
    try {
      this.#emit({ type: "exit", exit: { code, signal } });
    } catch (error) {
      // Its slot must be released all the same.
      log.error("the exit of claude could not be handled: {error}", { pid: this.pid, error });
    }
    return { code, signal };
  }
}
