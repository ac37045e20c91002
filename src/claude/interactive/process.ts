/**
 * One agent process: a running `claude` in a pseudo-terminal, from its start to its exit. Everything it reports (hooks,
 * frames of its plugin, its status, its exit) reaches its owner as one stream of events.
 */
import { rmSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import type { Clock } from "../../core/clock.ts";
import { RequestError } from "../../core/errors.ts";
import { newToken } from "../../core/tokens.ts";
import type { HookBody, Verdict } from "../../wire/hooks.ts";
import type {
  AgentProcess,
  ClaudeEvent,
  Exit,
  PermissionHook,
  ProcessOwner,
  ProcessState,
  Viewer,
} from "../agent-process.ts";
import { findBlockingSettings, pluginBlocked } from "../blocking-settings.ts";
import { BootFailure } from "../boot-failure.ts";
import { setsRetries } from "../environment.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import { OfferedTools } from "../offered-tools.ts";
import { killGroup, killMarked, markOf } from "../process-mark.ts";
import { restrictingFiles } from "../restrictions.ts";
import type { SessionFolder, SessionStatus } from "../session-file.ts";
import { spawnFailed } from "../start-errors.ts";
import { mayBlockStop } from "../stop-hooks.ts";
import { Boot } from "./boot.ts";
import { saysSessionNotFound } from "./dialogs.ts";
import { type LaunchContext, prepareLaunch } from "./launch.ts";
import { PluginBridge } from "./plugin-bridge.ts";
import type { PtyProcess, SpawnPty } from "./pty.ts";
import { Viewers } from "./viewers.ts";

const log = getLogger(["synthesis", "process"]);

/** From SIGTERM to SIGKILL, in ms. */
const KILL_AFTER_MS = 5_000;
/**
 * The same once Claude Code has reported the end of its session, in ms. Other hooks have 1.5 s from then on; after that
 * Claude Code only waits for its telemetry, which may not get through.
 */
const KILL_ENDED_AFTER_MS = 2_500;

/** A user who sets one of these variables wants no plugins. synthesis reports that and does not override it. */
const PLUGINS_OFF = ["CLAUDE_CODE_SAFE_MODE", "CLAUDE_CODE_SKIP_PLUGIN_MCP_SERVERS"];

export interface ProcessContext extends Omit<LaunchContext, "bridgeToken" | "hookToken"> {
  readonly config: Config;
  /** The server's environment, which the process inherits in part. */
  readonly env: Record<string, string | undefined>;
  readonly sessionFolder: SessionFolder;
  readonly clock: Clock;
  readonly spawn: SpawnPty;
}

export class InteractiveProcess implements AgentProcess {
  readonly engine = "interactive";
  readonly bridgeToken = newToken();
  readonly hookToken = newToken();
  /** Resolves when messages can be sent. Rejects with a `BootFailure` when that will never be possible. */
  readonly ready: Promise<void>;
  readonly exited: Promise<Exit>;
  /** The client's tools that Claude has been offered. */
  readonly tools: OfferedTools;
  readonly bridge: PluginBridge;
  /** Memory of the process and everything it has started, in bytes, as last measured; null before the first time. */
  memory: number | null = null;
  /** When the process was last used, in ms of the monotonic clock. */
  lastUsedAt: number;
  /** How many Stop hooks ran at the end of the last turn, ours included; null before the first turn has ended. */
  stopHooks: number | null = null;
  /** Increases whenever `status` may have changed, also if it turns out to be the same. */
  statusRevision = 0;

  #spec: LaunchSpec;
  #owner: ProcessOwner;
  readonly #context: ProcessContext;
  readonly #child: PtyProcess;
  readonly #boot: Boot;
  readonly #viewers: Viewers;
  #lastOutputAt: number;
  /** Permission prompts that wait for a person. */
  #openPrompts = 0;
  readonly #whenReady = Promise.withResolvers<void>();
  #cancelKill: (() => void) | undefined;
  #unwatchStatus: (() => void) | undefined;
  #isShared = false;
  #hasWorked = false;
  #state: ProcessState = "starting";

  /** @throws RequestError when the program cannot be started at all */
  constructor(spec: LaunchSpec, owner: ProcessOwner, context: ProcessContext) {
    const { config, env, clock } = context;
    const { workspace } = spec.choice;
    this.#spec = spec;
    this.#owner = owner;
    this.#context = context;
    this.lastUsedAt = clock.now();
    this.#lastOutputAt = clock.now();
    const blockingSettings = findBlockingSettings(workspace, env);
    const pluginBlocker = blockingSettings.find(({ blocks }) => blocks === "plugin");
    if (pluginBlocker) throw pluginBlocked(pluginBlocker);

    const logFields = () => ({ session: this.spec.sessionKey, pid: this.pid });
    this.tools = new OfferedTools(spec.tools, (frame) => void this.bridge.push(frame), logFields, clock);
    this.bridge = new PluginBridge({
      tools: this.tools,
      mode: config.reply,
      clock,
      pid: () => this.pid,
      isReady: () => this.#state === "ready",
      onActivity: () => this.#noteActivity(),
      onReply: (frame) => this.#emit({ type: "reply", frame }),
      onCall: (call) => this.#emit({ type: "call", call }),
      onCancel: (id) => this.#emit({ type: "call_cancelled", id }),
      onConnection: (open) => {
        this.#emit({ type: "connection", open });
        if (open) this.#boot.check();
      },
    });
    this.#viewers = new Viewers((columns, rows) => this.#child.resize(columns, rows), clock);

    // Everything that can fail comes before the spawn, so that no process runs without an owner.
    const tokens = { bridgeToken: this.bridgeToken, hookToken: this.hookToken };
    const launch = prepareLaunch(spec, { ...context, ...tokens }, config, env);
    this.#boot = new Boot({
      config,
      clock,
      debugFile: launch.debugFile,
      workspace,
      pluginsOffBy: PLUGINS_OFF.find((name) => env[name]),
      consent: {
        trusted: spec.trusted,
        useApiKey: config.useApiKey,
        restrictingFiles: restrictingFiles(workspace, env),
      },
      blockingSettings,
      wantsTools: spec.tools.size > 0 || config.reply === "tool",
      logFields,
      isConnected: () => this.connected,
      press: (key) => this.#child.write(key),
      onReady: () => this.#noteReady(),
      onApi: (activity) => this.#emit({ type: "api", activity }),
      onFailure: (failure) => {
        this.#whenReady.reject(failure);
        void this.stop();
      },
    });
    try {
      this.#child = context.spawn(launch.argv, {
        workspace,
        env: launch.env,
        onOutput: (bytes) => {
          this.noteOutput();
          this.#boot.draw(bytes);
          this.#viewers.draw(bytes);
        },
      });
    } catch (error) {
      this.#boot.close();
      rmSync(context.folder, { recursive: true, force: true });
      throw error instanceof RequestError ? error : spawnFailed(error as Error);
    }
    this.ready = this.#whenReady.promise;
    // A rejection must not count as unhandled when nothing awaits `ready`.
    this.ready.catch(() => {});
    this.exited = this.#child.exited.then((exit) => this.#cleanUp(exit));
    try {
      this.#boot.begin();
      log.info("claude started", { session: spec.sessionKey, pid: this.pid, resume: spec.resume });
    } catch (error) {
      // The caller gets the error and no process, so it could not stop it.
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
    this.lastUsedAt = this.#context.clock.now();
  }

  /** What the client loses because of how the process was started, in sentences. Each is returned once. */
  takeNotes(): readonly string[] {
    return this.#boot.takeNotes();
  }

  /** How to start the process that replaces this one. */
  get successor(): LaunchSpec {
    return { ...this.spec, tools: this.tools.catalogue, resume: true };
  }

  /** Messages can be sent to it now or soon. */
  get isUsable(): boolean {
    return this.#state === "starting" || (this.#state === "ready" && this.connected);
  }

  /** It has received a message since it was started. */
  get hasWorked(): boolean {
    return this.#hasWorked;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /**
   * When it last produced any output (terminal, hook, reply), in ms of the monotonic clock. The current time while a
   * permission prompt waits for a person.
   */
  get lastOutputAt(): number {
    return this.#openPrompts > 0 ? this.#context.clock.now() : this.#lastOutputAt;
  }

  noteOutput(): void {
    this.#lastOutputAt = this.#context.clock.now();
  }

  #noteActivity(): void {
    this.lastUsedAt = this.#context.clock.now();
    this.noteOutput();
  }

  /** Another `claude` has opened the session too. This process does not know what the other one added to the transcript. */
  get isShared(): boolean {
    return this.#isShared;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get connected(): boolean {
    return this.bridge.isOpen;
  }

  /** Whether messages can be sent. Waits for a plugin that is reconnecting. */
  isConnected(): Promise<boolean> {
    return this.bridge.isConnected();
  }

  /** Whether Claude Code works, as its session file says; null when there is none. */
  get status(): SessionStatus | null {
    const pid = this.bridge.claudePid;
    return pid === null ? null : this.#context.sessionFolder.read(pid);
  }

  /** The user has set how often Claude Code retries a failed model request. */
  get hasOwnRetries(): boolean {
    return setsRetries(this.#context.env);
  }

  /**
   * A Stop hook of the user's may keep Claude working after our `Stop`. Only a process with a session file can be
   * watched for that.
   */
  get mayContinueAfterStop(): boolean {
    return this.status !== null && mayBlockStop(this.spec.choice.workspace, this.stopHooks, this.#context.env);
  }

  /**
   * Sends a message into Claude's channel.
   * @param attachments attributes of the message's channel tag that name its files
   * @param again Claude never received the message, so the plugin must pass it on although it knows its id
   * @returns false when the plugin is not connected
   */
  send(
    messageId: string,
    chatId: string,
    content: string,
    attachments: Readonly<Record<string, string>>,
    again = false,
  ): boolean {
    this.lastUsedAt = this.#context.clock.now();
    this.#hasWorked = true;
    // With a new message, Claude no longer waits for the calls of an earlier one.
    if (!again) this.tools.forgetCalls();
    const meta = {
      // First in the tag, because clients choose the chat id and could put something like an attribute into it.
      message_id: messageId,
      chat_id: chatId,
      ts: new Date(this.#context.clock.wallTime()).toISOString(),
      ...attachments,
    };
    return this.bridge.push({ type: "inbound", content, meta, ...(again ? { again } : {}) });
  }

  /** Receives what a hook of this process has posted. */
  receiveHook(hook: HookBody): void {
    this.#noteActivity();
    if (hook.hook_event_name === "SessionEnd" && this.#state === "draining") this.#killAfter(KILL_ENDED_AFTER_MS);
    this.#emit({ type: "hook", hook });
  }

  /** Asks the owner to decide a permission prompt. @param signal aborted when Claude no longer waits for the verdict */
  async askPermission(hook: PermissionHook, signal: AbortSignal): Promise<Verdict> {
    this.#openPrompts += 1;
    try {
      return await this.#owner.onPermission(hook, signal);
    } finally {
      this.#openPrompts -= 1;
      this.noteOutput();
    }
  }

  /** Interrupts Claude. At an idle prompt, two of these keys open a menu that holds back messages. */
  interrupt(): void {
    if (this.#state === "ready") this.#child.write("\x1b");
  }

  /**
   * Shows the terminal to a viewer: the whole screen as soon as the process is ready, then everything it writes.
   * @returns removes the viewer, and tells how many viewers remain
   */
  show(viewer: Viewer): () => number {
    const remove = this.#viewers.add(viewer);
    const redraw = () => {
      if (this.#state === "ready") this.#viewers.redraw();
    };
    this.ready.then(redraw, () => {});
    return remove;
  }

  /** The pool measured that this idle process exceeds its memory limit. */
  reportOversized(): void {
    this.#owner.onOversized(this);
  }

  /** Stops the process with SIGTERM, later with SIGKILL. Resolves when it has exited. */
  stop(): Promise<Exit> {
    if (this.#state !== "exited" && this.#cancelKill === undefined) {
      this.#boot.end();
      const summary = "Claude Code was stopped before it was ready. Send the message again.";
      this.#whenReady.reject(new BootFailure("stopped", summary, { retryAfter: 1 }));
      this.#state = "draining";
      this.#child.kill("SIGTERM");
      this.#killAfter(KILL_AFTER_MS);
    }
    return this.exited;
  }

  #killAfter(ms: number): void {
    this.#cancelKill?.();
    this.#cancelKill = this.#context.clock.after(ms, () => this.#child.kill("SIGKILL"));
  }

  /** Kills the process at once. */
  kill(): void {
    if (this.#state !== "exited") this.#child.kill("SIGKILL");
  }

  #emit(event: ClaudeEvent): void {
    this.#owner.onEvent(this, event);
  }

  #noteReady(): void {
    this.#state = "ready";
    this.#unwatchStatus = this.#context.sessionFolder.watch({
      pid: this.bridge.claudePid ?? this.pid,
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

  /** Releases everything that belongs to the process after its exit, and reports the exit to the owner. */
  #cleanUp(exit: Exit): Exit {
    const { session, pid, folder } = { session: this.spec.sessionKey, pid: this.pid, folder: this.#context.folder };
    const screen = this.#boot.lastLines;
    this.#cancelKill?.();
    this.#state = "exited";
    this.#whenReady.reject(this.#exitedWhileStarting(exit, screen));
    this.#unwatchStatus?.();
    this.#viewers.end();
    this.#child.close();
    this.#boot.close();
    this.bridge.close();
    try {
      killGroup(pid);
      killMarked(markOf(folder));
      rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      // The conversation does not depend on this. The next start of the server cleans up again.
      log.error("processes or files of an exited claude could not be removed: {error}", { pid, error });
    }
    log.info("claude exited", { session, pid, ...exit });
    try {
      this.#emit({ type: "exit", exit });
    } catch (error) {
      // The process slot must be released all the same.
      log.error("exit of claude could not be handled: {error}", { pid, error });
    }
    return exit;
  }

  #exitedWhileStarting({ code, signal }: Exit, screen: string): BootFailure {
    const summary =
      `Claude Code exited while it started (${signal ?? `exit code ${code}`}). Run \`synthesis doctor --live\`, or ` +
      `\`claude\` once in ${this.spec.choice.workspace}, to find the cause.`;
    const reason = saysSessionNotFound(screen) ? "session_not_found" : "exited";
    return new BootFailure(reason, summary, { screen, retryAfter: signal === null ? undefined : 5 });
  }
}
