/**
 * One Claude Code process that is driven over stdin and stdout with stream-json. It needs no terminal, no channel and no
 * plugin, and it reports text token by token.
 */
import { rmSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import type { Config } from "../../config/schema.ts";
import type { Clock } from "../../core/clock.ts";
import { RequestError } from "../../core/errors.ts";
import { readLines } from "../../core/read-lines.ts";
import { PLUGIN_NAME, SERVER_NAME } from "../../plugin/manifest.ts";
import type { Verdict } from "../../wire/hooks.ts";
import type {
  AgentProcess,
  ClaudeEvent,
  Exit,
  PermissionHook,
  ProcessOwner,
  ProcessState,
  Viewer,
} from "../agent-process.ts";
import { BootFailure } from "../boot-failure.ts";
import { setsRetries } from "../environment.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import { OfferedTools } from "../offered-tools.ts";
import { withOpenFolder } from "../open-folder.ts";
import { killGroup, killMarked, markOf } from "../process-mark.ts";
import type { SessionFolder, SessionStatus } from "../session-file.ts";
import { spawnFailed } from "../start-errors.ts";
import type { Row } from "../transcript/rows.ts";
import { requireTrustedFolder } from "../trust.ts";
import { EventView } from "./event-view.ts";
import { prepareLaunch } from "./launch.ts";
import {
  type ControlRequest,
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

/** From the end of its input to SIGTERM, in ms. An idle process exits within 100 ms. */
const TERM_AFTER_MS = 1_000;
/** From SIGTERM to SIGKILL, in ms. */
const KILL_AFTER_MS = 5_000;
/** How much of the end of stderr is kept, in characters. */
const MAX_STDERR = 2_000;
/** The name of our MCP server. With it the tools have the names that they have in a terminal. */
const MCP_SERVER = `plugin_${PLUGIN_NAME}_${SERVER_NAME}`;
const CHANNEL_SOURCE = `plugin:${PLUGIN_NAME}:${SERVER_NAME}`;
const INITIALIZE = "initialize";

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
  lastUsedAt: number;
  /** Stop hooks have run by the time Claude Code reports the end of a turn. */
  stopHooks: number | null = null;
  statusRevision = 0;

  #spec: LaunchSpec;
  #owner: ProcessOwner;
  readonly #context: StreamContext;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #translator: StreamTranslator;
  readonly #toolServer: ToolServer;
  readonly #view = new EventView();
  readonly #whenReady = Promise.withResolvers<void>();
  readonly #unwatchRivals: () => void;
  /** Permission prompts that wait for a verdict, by the ids of their requests. */
  readonly #prompts = new Map<string, AbortController>();
  #cancelReadyTimer = () => {};
  #cancelStopTimer = () => {};
  #state: ProcessState = "starting";
  #status: SessionStatus;
  #lastOutputAt: number;
  #hasWorked = false;
  #isShared = false;
  #stderr = "";
  #requests = 0;

  /** @throws RequestError when the process cannot be started at all */
  constructor(spec: LaunchSpec, owner: ProcessOwner, context: StreamContext) {
    const { config, env: parentEnv, folder, deny, sessionFolder, clock } = context;
    const { workspace } = spec.choice;
    this.#spec = spec;
    this.#owner = owner;
    this.#context = context;
    this.lastUsedAt = clock.now();
    this.#lastOutputAt = clock.now();
    this.#status = { status: "idle", since: clock.wallTime() };
    // Without a terminal Claude Code does not ask: it runs the hooks of any folder.
    if (!spec.trusted) requireTrustedFolder(workspace, parentEnv);
    this.#translator = new StreamTranslator(spec.claudeSession, () => clock.now());
    const about = () => ({ session: this.spec.sessionKey, pid: this.pid });
    this.tools = new OfferedTools(spec.tools, (frame) => this.#toolServer.push(frame), about, clock);
    this.#toolServer = new ToolServer({
      mode: config.reply,
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
    const { argv, env } = prepareLaunch(spec, folder, deny, config, parentEnv);
    try {
      this.#child = withOpenFolder(workspace, (cwd) =>
        // `detached` makes a process group, so that everything that the process starts can be killed with it.
        Bun.spawn(argv, { cwd, env, stdin: "pipe", stdout: "pipe", stderr: "pipe", detached: true }),
      );
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error instanceof RequestError ? error : spawnFailed(error as NodeJS.ErrnoException);
    }
    this.ready = this.#whenReady.promise;
    // A start that fails is reported to whoever waits for it, and it may be that nothing does.
    this.ready.catch(() => {});
    this.#cancelReadyTimer = clock.after(config.readyTimeoutMs, () => this.#failStart());
    this.#unwatchRivals = sessionFolder.watch({
      pid: this.pid,
      claudeSession: spec.claudeSession,
      onChange: () => {},
      onRival: (rival) => {
        if (this.#isShared) return;
        this.#isShared = true;
        log.warning("another claude has opened this session", { ...about(), rival });
      },
    });
    const output = readLines(this.#child.stdout, (text) => this.#take(text)).catch((error) => {
      // A process whose output is not read any more would block on a full pipe.
      this.#child.kill("SIGKILL");
      log.error("claude killed, its output could not be handled: {error}", { ...about(), error });
    });
    const errors = readLines(this.#child.stderr, (text) => {
      this.#stderr = `${this.#stderr}${text}\n`.slice(-MAX_STDERR);
    }).catch((error) => log.debug("claude's stderr could not be read: {error}", { ...about(), error }));
    this.exited = this.#waitForExit(Promise.all([output, errors]));
    log.info("claude started", { ...about(), engine: this.engine, resume: spec.resume });
    void this.#toolServer.start();
    this.#write(controlRequestLine(INITIALIZE, { subtype: "initialize", sdkMcpServers: [MCP_SERVER] }));
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
    return this.#isShared;
  }

  get status(): SessionStatus | null {
    return this.#state === "ready" ? this.#status : null;
  }

  get lastOutputAt(): number {
    return this.#prompts.size > 0 ? this.#context.clock.now() : this.#lastOutputAt;
  }

  get hasOwnRetries(): boolean {
    return setsRetries(this.#context.env);
  }

  get mayContinueAfterStop(): boolean {
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
    this.#lastOutputAt = this.#context.clock.now();
  }

  takeNotes(): readonly string[] {
    return [];
  }

  assignTo(sessionKey: string, owner: ProcessOwner): void {
    log.info("spare adopted", { session: sessionKey, pid: this.pid, spare: this.spec.sessionKey });
    this.#spec = { ...this.spec, sessionKey };
    this.#owner = owner;
    this.lastUsedAt = this.#context.clock.now();
  }

  send(
    messageId: string,
    chatId: string,
    content: string,
    attachments: Readonly<Record<string, string>>,
    again = false,
  ): boolean {
    // A pipe loses nothing: a process that has not taken the message does not read its input.
    if (again || this.#state !== "ready") return false;
    this.lastUsedAt = this.#context.clock.now();
    this.#hasWorked = true;
    this.tools.forgetCalls();
    this.#view.showMessage(content);
    const meta = {
      message_id: messageId,
      chat_id: chatId,
      ts: new Date(this.#context.clock.wallTime()).toISOString(),
      ...attachments,
    };
    return this.#write(userMessageLine(messageId, channelMessage(CHANNEL_SOURCE, meta, content)));
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
    if (this.#state !== "draining" && this.#state !== "exited") {
      this.#cancelReadyTimer();
      const summary = "Claude Code was stopped before it was ready. Send the message again.";
      this.#whenReady.reject(new BootFailure("stopped", summary, { retryAfter: 1 }));
      this.#state = "draining";
      this.#endInput();
      this.#cancelStopTimer = this.#context.clock.after(TERM_AFTER_MS, () => {
        this.#child.kill("SIGTERM");
        this.#cancelStopTimer = this.#context.clock.after(KILL_AFTER_MS, () => this.#child.kill("SIGKILL"));
      });
    }
    return this.exited;
  }

  kill(): void {
    if (this.#state !== "exited") this.#child.kill("SIGKILL");
  }

  #take(text: string): void {
    this.lastUsedAt = this.#context.clock.now();
    this.noteOutput();
    const line = parseLine(text);
    if (!line) return;
    if (line.type === "refused_request") this.#write(controlErrorLine(line.id, line.why));
    else if (line.type === "control_request") void this.#takeRequest(line);
    else if (line.type === "control_cancel_request") this.#prompts.get(line.request_id)?.abort();
    else if (line.type === "control_response") this.#takeResponse(line);
    else {
      for (const event of this.#translator.translate(line)) {
        if (event.type === "status") this.#noteStatus();
        this.#emit(event);
      }
    }
  }

  #takeResponse({ response }: StreamLine & { type: "control_response" }): void {
    if (response.request_id === INITIALIZE && this.#state === "starting") {
      this.#cancelReadyTimer();
      this.#state = "ready";
      log.info("claude ready", { session: this.spec.sessionKey, pid: this.pid });
      this.#whenReady.resolve();
      this.#emit({ type: "connection", open: true });
    }
    if (response.subtype === "error") {
      log.warning("claude refused a control request: {error}", { pid: this.pid, error: response.error });
    }
  }

  async #takeRequest({ request_id: id, request }: ControlRequest): Promise<void> {
    if (request.subtype === "mcp_message") {
      const mcp_response = await this.#toolServer.handle(request.message as JSONRPCMessage);
      this.#write(controlResponseLine(id, { mcp_response }));
      return;
    }
    const cancelled = new AbortController();
    this.#prompts.set(id, cancelled);
    const hook = {
      session_id: this.spec.claudeSession,
      transcript_path: "",
      ...(this.#translator.current === null ? {} : { prompt_id: this.#translator.current }),
      ...(request.agent_id === undefined ? {} : { agent_id: request.agent_id }),
      hook_event_name: "PermissionRequest",
      tool_name: request.tool_name,
      tool_input: request.input,
    } as PermissionHook;
    const verdict = await this.#owner.onPermission(hook, cancelled.signal);
    this.#prompts.delete(id);
    this.noteOutput();
    if (!cancelled.signal.aborted) this.#write(controlResponseLine(id, decision(verdict, request.input)));
  }

  async #waitForExit(output: Promise<unknown>): Promise<Exit> {
    await this.#child.exited;
    // A program that Claude has started may keep the pipes open.
    killGroup(this.pid);
    await output;
    return this.#cleanUp();
  }

  #noteStatus(): void {
    this.#status = {
      status: this.#translator.current === null ? "idle" : "busy",
      since: this.#context.clock.wallTime(),
    };
    this.statusRevision += 1;
  }

  #emit(event: ClaudeEvent): void {
    this.#view.showEvent(event);
    this.#owner.onEvent(this, event);
  }

  #request(request: object): void {
    this.#requests += 1;
    this.#write(controlRequestLine(`${this.#requests}`, request));
  }

  /** False when the process no longer reads its input. */
  #write(line: string): boolean {
    try {
      this.#child.stdin.write(`${line}\n`);
      void this.#child.stdin.flush();
      return true;
    } catch (error) {
      // The process has closed its input. Its exit reports why.
      log.debug("claude does not read its input: {error}", { pid: this.pid, error });
      return false;
    }
  }

  #endInput(): void {
    try {
      void this.#child.stdin.end();
    } catch (error) {
      log.debug("claude's input was closed already: {error}", { pid: this.pid, error });
    }
  }

  #failStart(): void {
    const summary =
      `Claude Code was not ready after ${this.#context.config.readyTimeoutMs} ms. Send the message again; ` +
      "SYNTHESIS_READY_TIMEOUT_MS gives it more time.";
    this.#whenReady.reject(new BootFailure("timeout", summary, { retryAfter: 30 }));
    void this.stop();
  }

  /** Why the process exited before it was ready. */
  #bootFailure({ code, signal }: Exit): BootFailure {
    const stderr = this.#stderr.trim();
    const reason = /No conversation found with session ID/.test(stderr) ? "session_not_found" : "exited";
    const summary =
      `Claude Code exited while it started (${signal ?? `exit code ${code}`}). Run \`synthesis doctor --live\` to find ` +
      `the cause.${stderr === "" ? "" : ` It wrote: ${stderr}`}`;
    return new BootFailure(reason, summary, { retryAfter: signal === null ? undefined : 5 });
  }

  #cleanUp(): Exit {
    const { exitCode: code, signalCode } = this.#child;
    const signal = signalCode === null ? null : String(signalCode);
    this.#cancelReadyTimer();
    this.#cancelStopTimer();
    this.#state = "exited";
    this.#whenReady.reject(this.#bootFailure({ code, signal }));
    this.#unwatchRivals();
    for (const prompt of this.#prompts.values()) prompt.abort();
    this.#toolServer.close();
    this.#view.end();
    try {
      killMarked(markOf(this.#context.folder));
      rmSync(this.#context.folder, { recursive: true, force: true });
    } catch (error) {
      // The next start of the server clears what is left.
      log.error("the remains of claude could not be cleared: {error}", { pid: this.pid, error });
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

/** A verdict as the SDK's `PermissionResult` has it. A rule holds for this process; the next is started with it. */
function decision({ behavior, message, rule }: Verdict, input: Record<string, unknown>): object {
  if (behavior === "deny") return { behavior, message };
  const [, toolName, ruleContent] = /^([^(]+)(?:\((.*)\))?$/.exec(rule ?? "") ?? [];
  const rules = [{ toolName, ...(ruleContent === undefined ? {} : { ruleContent }) }];
  return {
    behavior,
    updatedInput: input,
    ...(rule === null
      ? {}
      : { updatedPermissions: [{ type: "addRules", rules, behavior: "allow", destination: "session" }] }),
  };
}
