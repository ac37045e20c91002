/**
 * A Claude Code process that is driven over stdin and stdout with stream-json. It needs no terminal, no channel and no
 * plugin, and it reports text token by token.
 */
import { rmSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import type { Clock } from "../../core/clock.ts";
import { RequestError } from "../../core/errors.ts";
import { PLUGIN_NAME, SERVER_NAME } from "../../plugin/manifest.ts";
import {
  type AgentProcess,
  type ClaudeEvent,
  type Exit,
  NO_OWNER,
  type ProcessOwner,
  type ProcessState,
  type Viewer,
} from "../agent-process.ts";
import { deniedToolsNote, findBlockingSettings } from "../blocking-settings.ts";
import { setsRetries } from "../environment.ts";
import { cleanUpAfterExit } from "../exit-cleanup.ts";
import { fixedHash } from "../launch-hash.ts";
import type { LaunchChoice, LaunchSpec } from "../launch-spec.ts";
import { OfferedTools } from "../offered-tools.ts";
import { ProcessActivity } from "../process-activity.ts";
import type { SessionFolder, SessionStatus } from "../session-file.ts";
import { SessionWatch } from "../session-watch.ts";
import { spawnFailed } from "../start-errors.ts";
import { Termination } from "../termination.ts";
import type { Row } from "../transcript/rows.ts";
import { requireTrustedFolder } from "../trust.ts";
import { unreadableSettingsNotes } from "../unreadable-settings.ts";
import { StreamChild } from "./child.ts";
import { ClaudeRequests } from "./claude-requests.ts";
import { type ControlAnswer, ControlRequests } from "./control-requests.ts";
import { EventView } from "./event-view.ts";
import { prepareLaunch } from "./launch.ts";
import { MCP_SERVER, StreamOptions } from "./options.ts";
import { channelMessage, parseLine, userMessageLine } from "./protocol.ts";
import { exitedAtStart, startRefused, startStopped, startTimeout } from "./start-failures.ts";
import { ToolServer } from "./tool-server.ts";
import { StreamTranslator } from "./translator.ts";

const log = getLogger(["synthesis", "process"]);

/** From SIGTERM to SIGKILL, in ms. */
const KILL_AFTER_MS = 5_000;
const CHANNEL_SOURCE = `plugin:${PLUGIN_NAME}:${SERVER_NAME}`;

export interface StreamContext {
  readonly config: Config;
  /** The server's environment, which the process inherits in part. */
  readonly env: Record<string, string | undefined>;
  /** The process's own folder. Its name, a uuid, is also the process mark. */
  readonly folder: string;
  /** Permission rules that keep Claude's tools from the server's own files. */
  readonly deny: readonly string[];
  readonly sessionFolder: SessionFolder;
  readonly clock: Clock;
}

export class StreamProcess implements AgentProcess {
  readonly engine = "stream";
  readonly exited: Promise<Exit>;
  readonly tools: OfferedTools;
  memory: number | null = null;
  stopHooks: number | null = null;
  statusRevision = 0;

  #spec: LaunchSpec;
  #owner: ProcessOwner;
  readonly #context: StreamContext;
  readonly #child: StreamChild;
  readonly #translator: StreamTranslator;
  readonly #toolServer: ToolServer;
  readonly #control: ControlRequests;
  readonly #options: StreamOptions;
  readonly #requests: ClaudeRequests;
  readonly #view = new EventView();
  readonly #activity: ProcessActivity;
  readonly #termination: Termination;
  readonly #session: SessionWatch;
  /** What the client loses by how the process was started, in sentences. */
  readonly #notes: string[];
  #whenReady = newReady();
  #cancelReadyTimer = () => {};
  #state: ProcessState = "starting";
  #status: SessionStatus;
  #hasWorked = false;

  /** @throws RequestError when the program cannot be started at all */
  constructor(spec: LaunchSpec, owner: ProcessOwner, context: StreamContext) {
    const { config, env: parentEnv, folder, deny, sessionFolder, clock } = context;
    const { workspace } = spec.choice;
    this.#spec = spec;
    this.#owner = owner;
    this.#context = context;
    // Without a terminal Claude Code does not ask: it runs the hooks of any folder.
    if (!spec.trusted) requireTrustedFolder(workspace, parentEnv);
    this.#notes = [...unreadableSettingsNotes(workspace, parentEnv)];
    this.#status = { status: "idle", since: clock.wallTime() };
    this.#activity = new ProcessActivity(clock);
    this.#termination = new Termination((signal) => this.#child.kill(signal), clock);
    // Its own status comes over stream-json; the session files tell only of rivals.
    this.#session = new SessionWatch(sessionFolder, () => {}, this.#logFields);
    this.#translator = new StreamTranslator(spec.claudeSession, () => clock.now());
    const tools = this.#isSpare ? new Map() : spec.tools;
    this.tools = new OfferedTools(tools, (frame) => this.#toolServer.push(frame), this.#logFields, clock);
    this.#toolServer = this.#createToolServer();
    const write = (line: string) => this.#child.write(line);
    this.#control = new ControlRequests(write, this.#logFields, clock);
    this.#options = new StreamOptions(this.#control, spec, config, parentEnv);
    this.#requests = new ClaudeRequests({
      toolServer: this.#toolServer,
      decide: (hook, signal) => this.#activity.duringPrompt(() => this.#owner.onPermission(hook, signal)),
      session: () => ({ claudeSession: this.spec.claudeSession, promptId: this.#translator.current }),
      write,
      logFields: this.#logFields,
    });

    // Everything that can fail comes before the spawn, so that no process runs without an owner.
    const { argv, env } = prepareLaunch(spec, folder, deny, config, parentEnv);
    try {
      this.#child = new StreamChild(argv, env, workspace, (line) => this.#handleLine(line));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error instanceof RequestError ? error : spawnFailed(error as NodeJS.ErrnoException);
    }
    this.exited = this.#child.exited.then((exit) => this.#cleanUp(exit));
    log.info("claude started", { ...this.#logFields(), engine: this.engine, resume: spec.resume });
    void this.#start();
  }

  #createToolServer(): ToolServer {
    return new ToolServer({
      mode: this.#context.config.reply,
      tools: () => this.tools.definitions,
      send: (message) => this.#control.send({ subtype: "mcp_message", server_name: MCP_SERVER, message }),
      onCall: (frame) => {
        const call = this.tools.receive(frame);
        if (call) this.#emit({ type: "call", call });
      },
      onCancel: (id) => this.#emit({ type: "call_cancelled", id }),
      onReply: (frame) => this.#emit({ type: "reply", frame }),
      onListed: (revision) => this.tools.noteListed(revision),
    });
  }

  /** Names the process in the log. */
  readonly #logFields = () => ({ session: this.spec.sessionKey, pid: this.pid });

  /** No conversation owns the process yet. Its prompt, its tools and its model come with the first one. */
  get #isSpare(): boolean {
    return this.#owner === NO_OWNER;
  }

  get ready(): Promise<void> {
    return this.#whenReady.promise;
  }

  get spec(): LaunchSpec {
    return this.#spec;
  }

  get isBusy(): boolean {
    return this.#owner.isBusy();
  }

  get pid(): number {
    return this.#child.pid;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get connected(): boolean {
    return this.#state === "ready";
  }

  get isUsable(): boolean {
    return this.#state === "starting" || this.#state === "ready";
  }

  get hasWorked(): boolean {
    return this.#hasWorked;
  }

  get isShared(): boolean {
    return this.#session.isShared;
  }

  get status(): SessionStatus | null {
    return this.#state === "ready" ? this.#status : null;
  }

  get lastUsedAt(): number {
    return this.#activity.lastUsedAt;
  }

  get lastOutputAt(): number {
    return this.#activity.lastOutputAt;
  }

  get hasOwnRetries(): boolean {
    return setsRetries(this.#context.env);
  }

  get mayContinueAfterStop(): boolean {
    // Claude Code reports the end of a turn only when all Stop hooks have run.
    return false;
  }

  get successor(): LaunchSpec {
    return { ...this.spec, tools: this.tools.catalogue, resume: true };
  }

  reportedRows(messageId: string): readonly Row[] | null {
    return this.#translator.rows(messageId);
  }

  async isConnected(): Promise<boolean> {
    return this.connected;
  }

  noteOutput(): void {
    this.#activity.noteOutput();
  }

  takeNotes(): readonly string[] {
    return this.#notes.splice(0);
  }

  assignTo(spec: LaunchSpec, owner: ProcessOwner): void {
    log.info("spare adopted", { session: spec.sessionKey, pid: this.pid, spare: this.spec.sessionKey });
    this.#spec = { ...spec, claudeSession: this.spec.claudeSession };
    this.#owner = owner;
    this.tools.begin(spec.tools);
    this.#activity.noteUse();
    // A process that is still starting finds its conversation when it has come so far.
    if (this.#state !== "ready") return;
    this.#state = "starting";
    this.#whenReady = newReady();
    void this.#finishStart(this.#initialize());
  }

  async adapt(choice: LaunchChoice): Promise<boolean> {
    const { config } = this.#context;
    if (fixedHash(choice, config) !== fixedHash(this.spec.choice, config)) return false;
    if (!(await this.#options.change(choice))) return false;
    this.#spec = { ...this.spec, choice };
    return true;
  }

  send(
    messageId: string,
    chatId: string,
    content: string,
    attachments: Readonly<Record<string, string>>,
    again = false,
  ): boolean {
    // A pipe loses nothing: a process that has not received the message does not read its input.
    if (again || this.#state !== "ready") return false;
    this.#activity.noteUse();
    this.#hasWorked = true;
    // With a new message, Claude no longer waits for the calls of an earlier one.
    this.tools.forgetCalls();
    this.#view.showMessage(content);
    const meta = {
      message_id: messageId,
      chat_id: chatId,
      ts: new Date(this.#context.clock.wallTime()).toISOString(),
      ...attachments,
    };
    return this.#child.write(userMessageLine(messageId, channelMessage(CHANNEL_SOURCE, meta, content)));
  }

  interrupt(): void {
    if (this.#state === "ready") this.#control.send({ subtype: "interrupt" });
  }

  show(viewer: Viewer): () => number {
    return this.#view.add(viewer);
  }

  reportOversized(): void {
    this.#owner.onOversized(this);
  }

  stop(): Promise<Exit> {
    if (this.#state !== "exited" && !this.#termination.hasBegun) {
      this.#cancelReadyTimer();
      this.#whenReady.reject(startStopped());
      this.#state = "draining";
      this.#child.endInput();
      this.#termination.begin(KILL_AFTER_MS);
    }
    return this.exited;
  }

  kill(): void {
    if (this.#state !== "exited") this.#child.kill("SIGKILL");
  }

  #handleLine(text: string): void {
    // A program that Claude has started may have the pipe still.
    if (this.#state === "exited") return;
    this.#activity.noteUse();
    this.#activity.noteOutput();
    const line = parseLine(text);
    if (!line) return;
    if (line.type === "refused_request") this.#requests.refuse(line);
    else if (line.type === "control_request") void this.#requests.handle(line);
    else if (line.type === "control_cancel_request") this.#requests.cancel(line.request_id);
    else if (line.type === "control_response") this.#control.receive(line);
    else {
      for (const event of this.#translator.translate(line)) {
        if (event.type === "status") this.#noteStatus();
        this.#emit(event);
      }
    }
  }

  /** Asks Claude Code for its settings, and prepares it for its conversation if it has one already. */
  async #start(): Promise<void> {
    const { clock, config } = this.#context;
    this.#cancelReadyTimer = clock.after(config.readyTimeoutMs, () =>
      this.#failStart(startTimeout(config.readyTimeoutMs)),
    );
    const initialized = this.#isSpare ? null : this.#initialize();
    try {
      this.#notes.push(...(await this.#options.checkSettings(this.spec.choice.workspace)));
    } catch (error) {
      this.#failStart(error);
      return;
    }
    // A conversation may have adopted the process meanwhile.
    if (!this.#isSpare) await this.#finishStart(initialized ?? this.#initialize());
    else if (this.#state === "starting") this.#noteReady();
  }

  /** Gives Claude Code the prompt and the tools of its conversation. */
  #initialize(): Promise<ControlAnswer> {
    const { choice } = this.spec;
    const blocking = findBlockingSettings(choice.workspace, this.#context.env);
    const deniedTools = deniedToolsNote(blocking, this.spec, this.#context.config);
    if (deniedTools !== null) this.#notes.push(deniedTools);
    return this.#options.initialize(choice);
  }

  /** The process is ready when Claude Code has the prompt, the tools and the model of its conversation. */
  async #finishStart(initialized: Promise<ControlAnswer>): Promise<void> {
    const [{ content, refusal }, isChanged] = await Promise.all([initialized, this.#options.change(this.spec.choice)]);
    if (this.#state !== "starting") return;
    // Without it Claude would not be offered any tools of ours.
    if (refusal !== null) this.#failStart(startRefused(refusal));
    else if (!isChanged) this.#failStart(startRefused("it refused the model or the effort"));
    else {
      const claude = content?.pid ?? this.pid;
      this.#child.isWrapper = claude !== this.pid;
      this.#session.begin(claude, this.spec.claudeSession);
      this.#noteReady();
    }
  }

  #noteReady(): void {
    this.#cancelReadyTimer();
    this.#state = "ready";
    log.info("claude ready", this.#logFields());
    this.#whenReady.resolve();
    this.#emit({ type: "connection", open: true });
  }

  #noteStatus(): void {
    const status = this.#translator.current === null ? "idle" : "busy";
    this.#status = { status, since: this.#context.clock.wallTime() };
    this.statusRevision += 1;
  }

  #emit(event: ClaudeEvent): void {
    this.#view.showEvent(event);
    this.#owner.onEvent(this, event);
  }

  #failStart(error: unknown): void {
    this.#whenReady.reject(error);
    void this.stop();
  }

  /** Releases everything that belongs to the process after its exit, and reports the exit to the owner. */
  #cleanUp(exit: Exit): Exit {
    this.#cancelReadyTimer();
    this.#termination.end();
    this.#state = "exited";
    // Has no effect if the process was ready.
    this.#whenReady.reject(exitedAtStart(exit, this.#child.stderr));
    this.#session.end();
    this.#control.close();
    this.#requests.cancelAll();
    this.#toolServer.close();
    cleanUpAfterExit(this.pid, this.#context.folder);
    log.info("claude exited", { ...this.#logFields(), ...exit });
    try {
      this.#emit({ type: "exit", exit });
    } catch (error) {
      // The process slot must be released although the owner failed.
      log.error("exit of claude could not be handled: {error}", { ...this.#logFields(), error });
    }
    this.#view.end();
    return exit;
  }
}

function newReady(): PromiseWithResolvers<void> {
  const ready = Promise.withResolvers<void>();
  // A rejection must not count as unhandled when nothing awaits the promise.
  ready.promise.catch(() => {});
  return ready;
}
