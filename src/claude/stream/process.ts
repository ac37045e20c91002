/**
 * A Claude Code process that is driven over stdin and stdout with stream-json. It needs no terminal, no channel and no
 * plugin, and it reports text token by token.
 */
import { rmSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import type { Config } from "../../config/schema.ts";
import type { Clock } from "../../core/clock.ts";
import { RequestError } from "../../core/errors.ts";
import { PLUGIN_NAME, SERVER_NAME } from "../../plugin/manifest.ts";
import type { AgentProcess, ClaudeEvent, Exit, ProcessOwner, ProcessState, Viewer } from "../agent-process.ts";
import { deniedToolsNote, findBlockingSettings } from "../blocking-settings.ts";
import { BootFailure, type BootFailureReason } from "../boot-failure.ts";
import { setsRetries } from "../environment.ts";
import { cleanUpAfterExit } from "../exit-cleanup.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import { OfferedTools } from "../offered-tools.ts";
import { ProcessActivity } from "../process-activity.ts";
import type { SessionFolder, SessionStatus } from "../session-file.ts";
import { SessionWatch } from "../session-watch.ts";
import { spawnFailed } from "../start-errors.ts";
import { Termination } from "../termination.ts";
import type { Row } from "../transcript/rows.ts";
import { requireTrustedFolder } from "../trust.ts";
import { unreadableSettingsNotes, unusedSettingsNotes } from "../unreadable-settings.ts";
import { StreamChild } from "./child.ts";
import { EventView } from "./event-view.ts";
import { prepareLaunch } from "./launch.ts";
import { type PermissionRequest, PermissionRequests } from "./permission-requests.ts";
import {
  type ControlRequest,
  type ControlResponse,
  channelMessage,
  controlErrorLine,
  controlRequestLine,
  controlResponseLine,
  parseLine,
  type StreamLine,
  userMessageLine,
} from "./protocol.ts";
import { ToolServer } from "./tool-server.ts";
import { StreamTranslator } from "./translator.ts";

const log = getLogger(["synthesis", "process"]);

/** From SIGTERM to SIGKILL, in ms. */
const KILL_AFTER_MS = 5_000;
/** The name of our MCP server. With it the tools have the names that they have in a terminal. */
const MCP_SERVER = `plugin_${PLUGIN_NAME}_${SERVER_NAME}`;
const CHANNEL_SOURCE = `plugin:${PLUGIN_NAME}:${SERVER_NAME}`;
const INITIALIZE = "initialize";
const GET_SETTINGS = "get_settings";

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
  readonly ready: Promise<void>;
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
  readonly #permissions = new PermissionRequests();
  readonly #view = new EventView();
  readonly #activity: ProcessActivity;
  readonly #termination: Termination;
  readonly #session: SessionWatch;
  /** What the client loses by how the process was started, in sentences. */
  readonly #notes: string[];
  readonly #whenReady = Promise.withResolvers<void>();
  readonly #cancelReadyTimer: () => void;
  #state: ProcessState = "starting";
  #status: SessionStatus;
  #hasWorked = false;
  #requests = 0;
  /** Claude Code's own process id, which may be that of a child of a wrapper. */
  #claudePid = 0;

  /** @throws RequestError when the program cannot be started at all */
  constructor(spec: LaunchSpec, owner: ProcessOwner, context: StreamContext) {
    const { config, env: parentEnv, folder, deny, sessionFolder, clock } = context;
    const { workspace } = spec.choice;
    this.#spec = spec;
    this.#owner = owner;
    this.#context = context;
    // Without a terminal Claude Code does not ask: it runs the hooks of any folder.
    if (!spec.trusted) requireTrustedFolder(workspace, parentEnv);
    const deniedTools = deniedToolsNote(findBlockingSettings(workspace, parentEnv), spec, config);
    this.#notes = [...unreadableSettingsNotes(workspace, parentEnv), ...(deniedTools === null ? [] : [deniedTools])];
    this.#status = { status: "idle", since: clock.wallTime() };
    this.#activity = new ProcessActivity(clock);
    this.#termination = new Termination((signal) => this.#child.kill(signal), clock);
    // Its own status comes over stream-json; the session files tell only of rivals.
    this.#session = new SessionWatch(sessionFolder, () => {}, this.#logFields);
    this.#translator = new StreamTranslator(spec.claudeSession, () => clock.now());
    this.tools = new OfferedTools(spec.tools, (frame) => this.#toolServer.push(frame), this.#logFields, clock);
    this.#toolServer = this.#createToolServer();

    // Everything that can fail comes before the spawn, so that no process runs without an owner.
    const { argv, env } = prepareLaunch(spec, folder, deny, config, parentEnv);
    try {
      this.#child = new StreamChild(argv, env, workspace, (line) => this.#handleLine(line));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error instanceof RequestError ? error : spawnFailed(error as NodeJS.ErrnoException);
    }
    this.ready = this.#whenReady.promise;
    // A rejection must not count as unhandled when nothing awaits `ready`.
    this.ready.catch(() => {});
    this.exited = this.#child.exited.then((exit) => this.#cleanUp(exit));
    this.#cancelReadyTimer = clock.after(config.readyTimeoutMs, () => this.#handleStartTimeout());
    log.info("claude started", { ...this.#logFields(), engine: this.engine, resume: spec.resume });
    this.#child.write(controlRequestLine(INITIALIZE, { subtype: "initialize", sdkMcpServers: [MCP_SERVER] }));
  }

  #createToolServer(): ToolServer {
    return new ToolServer({
      mode: this.#context.config.reply,
      tools: this.tools.definitions,
      send: (message) => this.#request({ subtype: "mcp_message", server_name: MCP_SERVER, message }),
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

  assignTo(sessionKey: string, owner: ProcessOwner): void {
    log.info("spare adopted", { session: sessionKey, pid: this.pid, spare: this.spec.sessionKey });
    this.#spec = { ...this.spec, sessionKey };
    this.#owner = owner;
    this.#activity.noteUse();
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
    if (this.#state === "ready") this.#request({ subtype: "interrupt" });
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
      const summary = "Claude Code was stopped before it was ready. Send the message again.";
      this.#whenReady.reject(new BootFailure("stopped", summary, { retryAfter: 1 }));
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
    if (line.type === "refused_request") this.#child.write(controlErrorLine(line.id, line.why));
    else if (line.type === "control_request") void this.#handleRequest(line);
    else if (line.type === "control_cancel_request") this.#permissions.cancel(line.request_id);
    else if (line.type === "control_response") this.#handleResponse(line);
    else {
      for (const event of this.#translator.translate(line)) {
        if (event.type === "status") this.#noteStatus();
        this.#emit(event);
      }
    }
  }

  #handleResponse({ response }: StreamLine & { type: "control_response" }): void {
    const { request_id: id, subtype, error, response: content } = response;
    if (subtype === "error") {
      log.warning("claude refused a control request: {error}", { ...this.#logFields(), error });
    }
    if (this.#state !== "starting") return;
    if (id === GET_SETTINGS) this.#checkSettings(content);
    else if (id !== INITIALIZE) return;
    // Without it Claude would not be offered any tools of ours.
    else if (subtype === "error") this.#failStart("exited", `Claude Code could not be initialized: ${error}.`);
    else {
      this.#claudePid = content?.pid ?? this.pid;
      this.#child.write(controlRequestLine(GET_SETTINGS, { subtype: GET_SETTINGS }));
    }
  }

  /** The process is ready if Claude Code uses every settings file that restricts Claude. */
  #checkSettings(settings: ControlResponse["response"]["response"]): void {
    const used = {
      sources: (settings?.sources ?? []).map(({ source }) => source),
      faulty: (settings?.errors ?? []).map(({ file }) => file ?? ""),
    };
    try {
      this.#notes.push(...unusedSettingsNotes(this.spec.choice.workspace, this.#context.env, used));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.#failStart("invalid_settings", error.message);
      return;
    }
    this.#cancelReadyTimer();
    this.#state = "ready";
    this.#session.begin(this.#claudePid, this.spec.claudeSession);
    log.info("claude ready", this.#logFields());
    this.#whenReady.resolve();
    this.#emit({ type: "connection", open: true });
  }

  async #handleRequest({ request_id: id, request }: ControlRequest): Promise<void> {
    try {
      const response =
        request.subtype === "mcp_message"
          ? await this.#handleMcp(request.message as JSONRPCMessage)
          : await this.#askPermission(id, request);
      if (response) this.#child.write(controlResponseLine(id, response));
    } catch (error) {
      // Without a response Claude Code would wait for one.
      log.error("control request could not be handled: {error}", { ...this.#logFields(), error });
      this.#child.write(controlErrorLine(id, "could not be handled"));
    }
  }

  async #handleMcp(message: JSONRPCMessage): Promise<object | null> {
    const response = await this.#toolServer.handle(message);
    return response && { mcp_response: response };
  }

  #askPermission(id: string, request: PermissionRequest): Promise<object | null> {
    const session = { claudeSession: this.spec.claudeSession, promptId: this.#translator.current };
    return this.#activity.duringPrompt(() =>
      this.#permissions.handle(id, request, session, (hook, signal) => this.#owner.onPermission(hook, signal)),
    );
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

  #request(request: object): void {
    this.#requests += 1;
    this.#child.write(controlRequestLine(`${this.#requests}`, request));
  }

  #handleStartTimeout(): void {
    this.#failStart(
      "timeout",
      `Claude Code was not ready after ${this.#context.config.readyTimeoutMs} ms. Send the message again; ` +
        "SYNTHESIS_READY_TIMEOUT_MS gives it more time.",
    );
  }

  #failStart(reason: BootFailureReason, summary: string): void {
    this.#whenReady.reject(new BootFailure(reason, summary, { retryAfter: reason === "timeout" ? 30 : undefined }));
    void this.stop();
  }

  /** Why the process exited before it was ready. */
  #bootFailure({ code, signal }: Exit): BootFailure {
    const { stderr } = this.#child;
    const reason = /No conversation found with session ID/.test(stderr) ? "session_not_found" : "exited";
    const summary =
      `Claude Code exited while it started (${signal ?? `exit code ${code}`}). Run \`synthesis doctor --live\` to find ` +
      `the cause.${stderr === "" ? "" : ` It wrote: ${stderr}`}`;
    return new BootFailure(reason, summary, { retryAfter: signal === null ? undefined : 5 });
  }

  /** Releases everything that belongs to the process after its exit, and reports the exit to the owner. */
  #cleanUp(exit: Exit): Exit {
    this.#cancelReadyTimer();
    this.#termination.end();
    this.#state = "exited";
    // Has no effect if the process was ready.
    this.#whenReady.reject(this.#bootFailure(exit));
    this.#session.end();
    this.#permissions.cancelAll();
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
