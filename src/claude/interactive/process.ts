/**
 * One agent process: a running `claude` in a pseudo-terminal, from its start to its exit. Everything it reports (hooks,
 * frames of its plugin, its status, its exit) reaches its owner as one stream of events.
 */
import { rmSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import type { Clock } from "../../core/clock.ts";
import { contentText, type MessageContent } from "../../core/dialogue.ts";
import { RequestError } from "../../core/errors.ts";
import type { SessionFigures } from "../../core/session-figures.ts";
import { newToken } from "../../core/tokens.ts";
import type { AccountLimits } from "../../limits/account.ts";
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
import { type BlockingSetting, findBlockingSettings, pluginBlocked } from "../blocking-settings.ts";
import { BootFailure } from "../boot-failure.ts";
import { setsRetries } from "../environment.ts";
import { cleanUpAfterExit } from "../exit-cleanup.ts";
import { isSameLaunch } from "../launch-hash.ts";
import type { LaunchChoice, LaunchSpec } from "../launch-spec.ts";
import { OfferedTools } from "../offered-tools.ts";
import { ProcessActivity } from "../process-activity.ts";
import type { SessionFolder, SessionStatus } from "../session-file.ts";
import { SessionWatch } from "../session-watch.ts";
import { spawnFailed } from "../start-errors.ts";
import { mayBlockStop } from "../stop-hooks.ts";
import { Termination } from "../termination.ts";
import { Boot } from "./boot.ts";
import { type Launch, type LaunchContext, prepareLaunch } from "./launch.ts";
import { PluginBridge } from "./plugin-bridge.ts";
import type { PtyProcess, SpawnPty } from "./pty.ts";
import { StatusLineWatch } from "./status-line.ts";
import { Viewers } from "./viewers.ts";

const log = getLogger(["synthesis", "process"]);

/** From SIGTERM to SIGKILL, in ms. */
const KILL_AFTER_MS = 5_000;
/**
 * The same once Claude Code has reported the end of its session, in ms. Other hooks have 1.5 s from then on; after that
 * Claude Code only waits for its telemetry, which may not get through.
 */
const KILL_ENDED_AFTER_MS = 2_500;

export interface ProcessContext extends Omit<LaunchContext, "bridgeToken" | "hookToken"> {
  readonly config: Config;
  /** The server's environment, which the process inherits in part. */
  readonly env: Record<string, string | undefined>;
  readonly sessionFolder: SessionFolder;
  readonly limits: Pick<AccountLimits, "note">;
  readonly clock: Clock;
  readonly spawn: SpawnPty;
}

export class InteractiveProcess implements AgentProcess {
  readonly engine = "interactive";
  readonly bridgeToken = newToken();
  readonly hookToken = newToken();
  readonly ready: Promise<void>;
  readonly exited: Promise<Exit>;
  readonly tools: OfferedTools;
  readonly bridge: PluginBridge;
  memory: number | null = null;
  stopHooks: number | null = null;

  #spec: LaunchSpec;
  #owner: ProcessOwner;
  readonly #context: ProcessContext;
  readonly #child: PtyProcess;
  readonly #boot: Boot;
  readonly #viewers: Viewers;
  readonly #activity: ProcessActivity;
  readonly #termination: Termination;
  readonly #whenReady = Promise.withResolvers<void>();
  readonly #session: SessionWatch;
  readonly #statusLine: StatusLineWatch;
  figures: SessionFigures | null = null;
  #hasWorked = false;
  #state: ProcessState = "starting";

  /** @throws RequestError when the program cannot be started at all */
  constructor(spec: LaunchSpec, owner: ProcessOwner, context: ProcessContext) {
    const { config, env, clock } = context;
    this.#spec = spec;
    this.#owner = owner;
    this.#context = context;
    const blockingSettings = findBlockingSettings(spec.choice.workspace, env);
    const pluginBlocker = blockingSettings.find(({ blocks }) => blocks === "plugin");
    if (pluginBlocker) throw pluginBlocked(pluginBlocker);

    this.#activity = new ProcessActivity(clock);
    this.#termination = new Termination((signal) => this.#child.kill(signal), clock);
    this.#session = new SessionWatch(context.sessionFolder, () => this.#emit({ type: "status" }), this.#logFields);
    this.#viewers = new Viewers((columns, rows) => this.#child.resize(columns, rows), clock);
    this.tools = new OfferedTools(spec.tools, (frame) => void this.bridge.push(frame), this.#logFields, clock);
    this.bridge = this.#createBridge();

    // Everything that can fail comes before the spawn, so that no process runs without an owner.
    const tokens = { bridgeToken: this.bridgeToken, hookToken: this.hookToken };
    const launch = prepareLaunch(spec, { ...context, ...tokens }, config, env);
    this.#boot = this.#createBoot(launch.debugFile, blockingSettings);
    this.#statusLine = new StatusLineWatch(launch.statusFolder, ({ windows, figures }) => {
      this.figures = figures;
      context.limits.note(windows);
      this.#emit({ type: "figures" });
    });
    this.#child = this.#spawn(launch);
    this.ready = this.#whenReady.promise;
    // A rejection must not count as unhandled when nothing awaits `ready`.
    this.ready.catch(() => {});
    this.exited = this.#child.exited.then((exit) => this.#cleanUp(exit));
    try {
      this.#boot.begin();
      log.info("claude started", { ...this.#logFields(), engine: this.engine, resume: spec.resume });
    } catch (error) {
      // The caller gets the error and no process, so it could not stop it.
      this.kill();
      throw error;
    }
  }

  #createBridge(): PluginBridge {
    return new PluginBridge({
      tools: this.tools,
      mode: this.#context.config.reply,
      clock: this.#context.clock,
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
  }

  #createBoot(debugFile: string, blockingSettings: readonly BlockingSetting[]): Boot {
    const { config, env, clock } = this.#context;
    return new Boot({
      spec: this.spec,
      config,
      env,
      clock,
      debugFile,
      blockingSettings,
      logFields: this.#logFields,
      isConnected: () => this.connected,
      press: (key) => this.#child.write(key),
      onReady: () => this.#noteReady(),
      onApi: (activity) => this.#emit({ type: "api", activity }),
      onFailure: (failure) => {
        this.#whenReady.reject(failure);
        void this.stop();
      },
    });
  }

  #spawn({ argv, env }: Launch): PtyProcess {
    const { workspace } = this.spec.choice;
    const onOutput = (bytes: Uint8Array) => {
      this.noteOutput();
      this.#boot.draw(bytes);
      this.#viewers.draw(bytes);
    };
    try {
      return this.#context.spawn(argv, { workspace, env, onOutput });
    } catch (error) {
      this.#boot.close();
      rmSync(this.#context.folder, { recursive: true, force: true });
      throw error instanceof RequestError ? error : spawnFailed(error as Error);
    }
  }

  /** Names the process in the log. */
  readonly #logFields = () => ({ session: this.spec.sessionKey, pid: this.pid });

  get spec(): LaunchSpec {
    return this.#spec;
  }

  get owner(): ProcessOwner {
    return this.#owner;
  }

  assignTo({ sessionKey, engine }: LaunchSpec, owner: ProcessOwner): void {
    log.info("spare adopted", { session: sessionKey, pid: this.pid, spare: this.spec.sessionKey });
    this.#spec = { ...this.spec, sessionKey, engine };
    this.#owner = owner;
    this.#activity.noteUse();
  }

  async adapt(choice: LaunchChoice): Promise<boolean> {
    const { config } = this.#context;
    return isSameLaunch(choice, this.spec.choice, config);
  }

  takeNotes(): readonly string[] {
    return this.#boot.takeNotes();
  }

  get successor(): LaunchSpec {
    return { ...this.spec, tools: this.tools.catalogue, resume: true };
  }

  get isUsable(): boolean {
    return this.#state === "starting" || (this.#state === "ready" && this.connected);
  }

  get hasWorked(): boolean {
    return this.#hasWorked;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get lastUsedAt(): number {
    return this.#activity.lastUsedAt;
  }

  get lastOutputAt(): number {
    return this.#activity.lastOutputAt;
  }

  noteOutput(): void {
    this.#activity.noteOutput();
  }

  #noteActivity(): void {
    this.#activity.noteUse();
    this.#activity.noteOutput();
  }

  get isShared(): boolean {
    return this.#session.isShared;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get connected(): boolean {
    return this.bridge.isOpen;
  }

  isConnected(): Promise<boolean> {
    return this.bridge.isConnected();
  }

  get status(): SessionStatus | null {
    const pid = this.bridge.claudePid;
    return pid === null ? null : this.#session.statusOf(pid);
  }

  get statusRevision(): number {
    return this.#session.revision;
  }

  get hasOwnRetries(): boolean {
    return setsRetries(this.#context.env);
  }

  get mayContinueAfterStop(): boolean {
    // Without a status, nothing would tell when Claude has really finished.
    return mayBlockStop(this.spec.choice.workspace, this.stopHooks, this.#context.env) && this.status !== null;
  }

  send(
    messageId: string,
    chatId: string,
    content: MessageContent,
    attachments: Readonly<Record<string, string>>,
    again = false,
  ): boolean {
    this.#activity.noteUse();
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
    // `again` makes the plugin pass on a message whose id it knows.
    return this.bridge.push({ type: "inbound", content: contentText(content), meta, ...(again ? { again } : {}) });
  }

  reportedUsage(): null {
    return null;
  }

  reportedRows(): null {
    return null;
  }

  /** Receives what a hook of this process has posted. */
  receiveHook(hook: HookBody): void {
    this.#noteActivity();
    if (hook.hook_event_name === "SessionEnd" && this.#state === "draining") {
      this.#termination.killAfter(KILL_ENDED_AFTER_MS);
    }
    this.#emit({ type: "hook", hook });
  }

  /** Asks the owner to decide a permission prompt. @param signal aborted when Claude no longer waits for the verdict */
  askPermission(hook: PermissionHook, signal: AbortSignal): Promise<Verdict> {
    return this.#activity.duringPrompt(() => this.#owner.onPermission(hook, signal));
  }

  /** Presses Escape. At an idle prompt, two of these keys open a menu that holds back messages. */
  interrupt(): void {
    if (this.#state === "ready") this.#child.write("\x1b");
  }

  /** The viewer gets the whole screen as soon as the process is ready, and then everything it writes. */
  show(viewer: Viewer): () => number {
    const remove = this.#viewers.add(viewer);
    const redraw = () => {
      if (this.#state === "ready") this.#viewers.redraw();
    };
    this.ready.then(redraw, () => {});
    return remove;
  }

  reportOversized(): void {
    this.#owner.onOversized(this);
  }

  stop(): Promise<Exit> {
    if (this.#state !== "exited" && !this.#termination.hasBegun) {
      this.#boot.end();
      const summary = "Claude Code was stopped before it was ready. Send the message again.";
      this.#whenReady.reject(new BootFailure("stopped", summary, { retryAfter: 1 }));
      this.#state = "draining";
      this.#termination.begin(KILL_AFTER_MS);
    }
    return this.exited;
  }

  kill(): void {
    if (this.#state !== "exited") this.#child.kill("SIGKILL");
  }

  #emit(event: ClaudeEvent): void {
    this.#owner.onEvent(this, event);
  }

  #noteReady(): void {
    this.#state = "ready";
    this.#session.begin(this.bridge.claudePid ?? this.pid, this.spec.claudeSession);
    this.#statusLine.begin();
    log.info("claude ready", this.#logFields());
    this.#whenReady.resolve();
  }

  /** Releases everything that belongs to the process after its exit, and reports the exit to the owner. */
  #cleanUp(exit: Exit): Exit {
    this.#termination.end();
    this.#state = "exited";
    // Has no effect if the process was ready.
    this.#whenReady.reject(this.#boot.failureAtExit(exit));
    this.#session.end();
    this.#statusLine.end();
    this.#viewers.end();
    this.#child.close();
    this.#boot.close();
    this.bridge.close();
    cleanUpAfterExit(this.pid, this.#context.folder);
    log.info("claude exited", { ...this.#logFields(), ...exit });
    try {
      this.#emit({ type: "exit", exit });
    } catch (error) {
      // The process slot must be released although the owner failed.
      log.error("exit of claude could not be handled: {error}", { pid: this.pid, error });
    }
    return exit;
  }
}
