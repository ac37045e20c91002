/**
 * A Claude Code process that is driven over stdin and stdout with stream-json. It needs no terminal, no channel and no
 * plugin, and it reports text token by token.
 */
import { rmSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import type { Clock } from "../../core/clock.ts";
import { contentText, type MessageContent } from "../../core/dialogue.ts";
import { RequestError } from "../../core/errors.ts";
import type { MessageCounts } from "../../core/message-counts.ts";
import type { SessionFigures } from "../../core/session-figures.ts";
import type { ModelUsage } from "../../core/usage.ts";
import type { AccountLimits } from "../../limits/account.ts";
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
import { setsRetries } from "../environment.ts";
import { cleanUpAfterExit } from "../exit-cleanup.ts";
import { isSameFixedLaunch } from "../launch-hash.ts";
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
import { ControlRequests } from "./control-requests.ts";
import { EventView } from "./event-view.ts";
import { reportedWindows, StreamFigures } from "./figures.ts";
import { prepareLaunch } from "./launch.ts";
import { readEarlierUsage, TurnFigures } from "./model-usage.ts";
import { StreamOptions } from "./options.ts";
import { PastDialogue } from "./past-dialogue.ts";
import { channelMessage, parseLine, userMessageLine } from "./protocol.ts";
import type { SettingsReports } from "./settings-reports.ts";
import { exitedAtStart, StreamStart, stopped } from "./start.ts";
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
  readonly limits: Pick<AccountLimits, "note">;
  readonly reports: SettingsReports;
  /** Counts the lines of its output. */
  readonly messages?: MessageCounts;
  readonly clock: Clock;
}

export class StreamProcess implements AgentProcess {
  readonly engine = "stream";
  readonly exited: Promise<Exit>;
  readonly tools: OfferedTools;
  spec: LaunchSpec;
  state: ProcessState = "starting";
  hasWorked = false;
  memory: number | null = null;
  stopHooks: number | null = null;
  statusRevision = 0;

  #owner: ProcessOwner;
  readonly #context: StreamContext;
  readonly #child: StreamChild;
  readonly #translator: StreamTranslator;
  readonly #control: ControlRequests;
  readonly #options: StreamOptions;
  readonly #requests: ClaudeRequests;
  readonly #view = new EventView();
  readonly #figures = new StreamFigures();
  readonly #turnFigures: TurnFigures;
  readonly #activity: ProcessActivity;
  readonly #termination: Termination;
  readonly #session: SessionWatch;
  readonly #start: StreamStart;
  #status: SessionStatus;
  readonly #past: PastDialogue;

  /** @throws RequestError when the program cannot be started at all */
  constructor(spec: LaunchSpec, owner: ProcessOwner, context: StreamContext) {
    const { config, env: parentEnv, folder, deny, sessionFolder, clock } = context;
    const { workspace } = spec.choice;
    this.spec = spec;
    this.#owner = owner;
    this.#context = context;
    // Without a terminal Claude Code does not ask: it runs the hooks of any folder.
    if (!spec.trusted) requireTrustedFolder(workspace, parentEnv);
    const notes = spec.choice.isIsolated ? [] : unreadableSettingsNotes(workspace, parentEnv);
    this.#status = { status: "idle", since: clock.wallTime() };
    this.#activity = new ProcessActivity(clock);
    this.#turnFigures = new TurnFigures(spec.resume);
    this.#termination = new Termination((signal) => this.#child.kill(signal), clock);
    // Its own status comes over stream-json; the session files tell only of rivals.
    this.#session = new SessionWatch(sessionFolder, () => {}, this.#logFields);
    this.#translator = new StreamTranslator(spec.claudeSession, () => clock.now());
    const tools = this.#isSpare ? new Map() : spec.tools;
    this.tools = new OfferedTools(tools, (frame) => this.#requests.toolServer.push(frame), this.#logFields, clock);
    const write = (line: string) => this.#child.write(line);
    this.#control = new ControlRequests(write, this.#logFields, clock);
    this.#options = new StreamOptions(this.#control, spec, config, parentEnv, context.reports);
    this.#requests = this.#createRequests(write);
    this.#past = new PastDialogue(spec.history ?? [], write);
    this.#start = new StreamStart({
      options: this.#options,
      config,
      env: parentEnv,
      clock,
      spec: () => this.spec,
      isSpare: () => this.#isSpare,
      notes,
      writePast: () => this.#past.write(),
      onInitialized: (claudePid) => this.#noteInitialized(claudePid ?? this.pid),
      onReady: () => this.#noteReady(),
      onFailure: () => void this.stop(),
      // At the end of its input it would still answer the message, and run tools for it.
      onUnprepared: () => this.kill(),
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
    if (spec.resume) void this.#readEarlierUsage();
    log.info("claude started", { ...this.#logFields(), engine: this.engine, resume: spec.resume });
    void this.#start.begin();
  }

  async #readEarlierUsage(): Promise<void> {
    try {
      this.#turnFigures.begin(await readEarlierUsage(this.spec.claudeSession, this.#context.env));
    } catch (error) {
      // The cost of the next turn stays unknown.
      log.debug("usage of a session not readable: {error}", { ...this.#logFields(), error });
    }
  }

  #createRequests(write: (line: string) => void): ClaudeRequests {
    return new ClaudeRequests({
      mode: this.#context.config.reply,
      tools: this.tools,
      control: this.#control,
      options: this.#options,
      // The next process gets the server when it starts.
      onNotConnected: () => void this.stop(),
      emit: (event) => this.#emit(event),
      decide: (hook, signal) => this.#activity.duringPrompt(() => this.#owner.onPermission(hook, signal)),
      session: () => ({ claudeSession: this.spec.claudeSession, promptId: this.#translator.current }),
      write,
      logFields: this.#logFields,
    });
  }

  /** Names the process in the log. */
  readonly #logFields = () => ({ session: this.spec.sessionKey, pid: this.pid });

  /** No conversation owns the process yet. Its prompt, its tools and its model come with the first one. */
  get #isSpare(): boolean {
    return this.#owner === NO_OWNER;
  }

  get ready(): Promise<void> {
    return this.#start.ready;
  }

  get owner(): ProcessOwner {
    return this.#owner;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get connected(): boolean {
    return this.state === "ready";
  }

  get isUsable(): boolean {
    return this.state === "starting" || this.state === "ready";
  }

  get isShared(): boolean {
    return this.#session.isShared;
  }

  get status(): SessionStatus | null {
    return this.state === "ready" ? this.#status : null;
  }

  get lastUsedAt(): number {
    return this.#activity.lastUsedAt;
  }

  get lastOutputAt(): number {
    return this.#activity.lastOutputAt;
  }

  get figures(): SessionFigures | null {
    return this.#figures.current;
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

  reportedUsage(messageId: string): readonly ModelUsage[] | null {
    return this.#turnFigures.of(messageId);
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
    return this.#start.takeNotes();
  }

  assignTo(spec: LaunchSpec, owner: ProcessOwner): void {
    log.info("spare adopted", { session: spec.sessionKey, pid: this.pid, spare: this.spec.sessionKey });
    this.spec = { ...spec, claudeSession: this.spec.claudeSession };
    this.#owner = owner;
    this.tools.begin(spec.tools);
    this.#activity.noteUse();
    if (this.state === "ready") this.state = "starting";
    this.#start.adopt();
  }

  async adapt(choice: LaunchChoice): Promise<boolean> {
    const { config } = this.#context;
    if (!isSameFixedLaunch(choice, this.spec.choice, config)) return false;
    if (!(await this.#options.change(choice))) return false;
    this.spec = { ...this.spec, choice };
    return true;
  }

  send(
    messageId: string,
    chatId: string,
    content: MessageContent,
    attachments: Readonly<Record<string, string>>,
    again = false,
  ): boolean {
    // A pipe loses nothing: a process that has not received the message does not read its input.
    if (again || this.state !== "ready") return false;
    this.#activity.noteUse();
    this.hasWorked = true;
    // With a new message, Claude no longer waits for the calls of an earlier one.
    this.tools.forgetCalls();
    this.#view.showMessage(contentText(content));
    if (typeof content !== "string") return this.#child.write(userMessageLine(messageId, content));
    const meta = {
      message_id: messageId,
      chat_id: chatId,
      ts: new Date(this.#context.clock.wallTime()).toISOString(),
      ...attachments,
    };
    return this.#child.write(userMessageLine(messageId, channelMessage(CHANNEL_SOURCE, meta, content)));
  }

  interrupt(): void {
    if (this.state === "ready") this.#control.send({ subtype: "interrupt" });
  }

  show(viewer: Viewer): () => number {
    return this.#view.add(viewer);
  }

  reportOversized(): void {
    this.#owner.onOversized(this);
  }

  stop(): Promise<Exit> {
    if (this.state !== "exited" && !this.#termination.hasBegun) {
      this.#start.end(stopped());
      this.state = "draining";
      this.#child.endInput();
      this.#termination.begin(KILL_AFTER_MS);
    }
    return this.exited;
  }

  kill(): void {
    if (this.state !== "exited") this.#child.kill("SIGKILL");
  }

  #handleLine(text: string): Promise<void> | undefined {
    // A program that Claude has started may have the pipe still.
    if (this.state === "exited") return undefined;
    this.#activity.noteUse();
    this.#activity.noteOutput();
    const line = parseLine(text);
    if (!line) return undefined;
    this.#context.messages?.note("stream_line", line.type);
    if (line.type === "refused_request") this.#requests.refuse(line);
    else if (line.type === "control_request") void this.#requests.handle(line);
    else if (line.type === "control_cancel_request") this.#requests.cancel(line.request_id);
    else if (line.type === "control_response") this.#control.receive(line);
    else if (line.type === "result" && this.#past.noteRead()) this.#start.noteProgress();
    else {
      this.#context.limits.note(reportedWindows(line));
      this.#turnFigures.read(line);
      if (this.#figures.read(line)) this.#emit({ type: "figures" });
      for (const event of this.#translator.translate(line)) {
        if (event.type === "status") this.#noteStatus();
        this.#emit(event);
      }
    }
    // The client gets the end of its answer before the server works on the lines that follow.
    return line.type === "result" ? setImmediate() : undefined;
  }

  #noteInitialized(claudePid: number): void {
    if (this.state === "exited") return;
    this.#child.isWrapper = claudePid !== this.pid;
    this.#session.begin(claudePid, this.spec.claudeSession);
  }

  #noteReady(): void {
    this.state = "ready";
    log.info("claude ready", this.#logFields());
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

  /** Releases everything that belongs to the process after its exit, and reports the exit to the owner. */
  #cleanUp(exit: Exit): Exit {
    this.#termination.end();
    this.state = "exited";
    this.#start.end(exitedAtStart(exit, this.#child.stderr));
    this.#session.end();
    this.#control.close();
    this.#requests.close();
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
