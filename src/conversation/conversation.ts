/**
 * One conversation: its queue of requests, the claude that works on it, and the turn that runs. One
 * turn at a time, since claude would merge messages that reach it together; and never two processes,
 * since both would write into one transcript.
 */
import { existsSync, statSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { launchHash } from "../claude/launch.ts";
import type { Pool } from "../claude/pool.ts";
import type { ClaudeEvent, ClaudeProcess } from "../claude/process.ts";
import { findTranscript } from "../claude/transcript.ts";
import type { Config } from "../config/schema.ts";
import { ApiError } from "../openai/errors.ts";
import type { SessionRow } from "../store/schema.ts";
import type { Sessions } from "../store/sessions.ts";
import type { Turns } from "../store/turns.ts";
import { channelMessageId, type HookBody } from "../wire/hooks.ts";
import type { Identity } from "./identity.ts";
import type { Reply, Temperature } from "./reply.ts";
import { TurnRun } from "./turn-run.ts";
import type { Workspace } from "./workspace.ts";

const log = getLogger(["synthesis", "conversation"]);

/** What waits longer than a start may take and this, in ms, gets its stream, so that its client sees heartbeats. */
const PATIENCE_MS = 1_000;

export interface Request {
  readonly text: string;
  readonly workspace: Workspace;
  readonly reply: Reply;
}

export interface ConversationDeps {
  readonly config: Config;
  readonly pool: Pool;
  readonly sessions: Sessions;
  readonly turns: Turns;
  readonly env: Record<string, string | undefined>;
}

export interface Watcher {
  /**
   * A request has been served.
   * @param ms how long claude worked on it, null when it was never sent
   * @param error what the client was told, null when all went well
   */
  onTurn(ms: number | null, error: ApiError | null): void;
  /** Nothing waits, nothing runs, and there is no process. */
  onRest(): void;
}

export class Conversation {
  readonly identity: Identity;
  readonly #deps: ConversationDeps;
  readonly #watcher: Watcher;
  readonly #queue: Request[] = [];
  /** Turns of which something may still come; the last one runs. */
  readonly #runs = new Set<TurnRun>();
  /** Prompts that claude works on and that no request of ours has brought. */
  readonly #foreign = new Set<string>();
  #foreignOver = Promise.withResolvers<void>();
  #working = false;
  #sentAt = 0;
  #serving: Request | null = null;
  #run: TurnRun | null = null;
  #process: ClaudeProcess | null = null;
  #transcript: string | null = null;

  constructor(identity: Identity, deps: ConversationDeps, watcher: Watcher) {
    this.identity = identity;
    this.#deps = deps;
    this.#watcher = watcher;
  }

  /** How many requests wait: behind a turn, or for a process. */
  get waiting(): number {
    return this.#queue.length + (this.#serving && !this.#process ? 1 : 0);
  }

  /** A turn is starting or runs, or claude works on something of its own. */
  get isBusy(): boolean {
    return this.#serving !== null || this.#foreign.size > 0;
  }

  get hasProcess(): boolean {
    return this.#process !== null;
  }

  ask(request: Request): void {
    const { reply } = request;
    this.#queue.push(request);
    reply.left.addEventListener("abort", () => this.#withdraw(request));
    // Behind a turn that runs, there is nothing left to go wrong before it is its turn but what it waits for.
    if (this.#run) reply.open("warm");
    else {
      const patience = setTimeout(() => reply.open("waiting"), this.#deps.config.readyTimeoutMs + PATIENCE_MS);
      const end = () => clearTimeout(patience);
      reply.opened.then(end, end);
      reply.left.addEventListener("abort", end);
    }
    void this.#work();
  }

  /** Fails what waits and, unless it has been sent, what is starting. */
  refuseWaiting(error: ApiError): void {
    for (const { reply } of this.#queue.splice(0)) reply.fail(error);
    if (this.#serving && !this.#run) {
      this.#serving.reply.fail(error);
      this.#serving.reply.leave();
      void this.#process?.stop();
    }
  }

  /** Ends the turn that runs, if there is one. */
  interrupt(error: ApiError): void {
    this.#run?.interrupt(error);
  }

  /** Resolves when no turn runs. */
  async idle(): Promise<void> {
    while (this.#run) await this.#run.over;
  }

  #withdraw(request: Request): void {
    const at = this.#queue.indexOf(request);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (let request = this.#queue.shift(); request; request = this.#queue.shift()) {
      this.#serving = request;
      let error: unknown = null;
      try {
        await this.#serve(request);
      } catch (cause) {
        error = cause;
        // A client that has left while it waited for a place is no fault.
        if (!(cause instanceof ApiError) && !request.reply.left.aborted) {
          log.error("unexpected: {error}", { session: this.identity.key, error });
        }
        request.reply.fail(cause);
      }
      this.#serving = null;
      const told = error instanceof ApiError ? error : request.reply.error;
      const ms = this.#sentAt === 0 ? null : Date.now() - this.#sentAt;
      if (told || ms !== null) this.#watcher.onTurn(ms, told);
      this.#sentAt = 0;
      // Between two turns the process is idle, and others may be waiting for one.
      this.#deps.pool.noteIdle();
    }
    this.#working = false;
    this.#rest();
  }

  #rest(): void {
    if (!this.#working && !this.#process) this.#watcher.onRest();
  }

  /** One request from its place in the queue to a claude that is free again. */
  async #serve(request: Request): Promise<void> {
    const { reply, text } = request;
    const [process, temperature, session] = await this.#readyProcess(request, this.#session(request.workspace));
    if (reply.left.aborted) return;

    const transcript = await this.#findTranscript(session);
    const run = new TurnRun({
      config: this.#deps.config,
      turns: this.#deps.turns,
      process,
      reply,
      sessionKey: session.key,
      text,
      transcriptAt: transcript ? statSync(transcript).size : 0,
      findTranscript: () => this.#findTranscript(session),
    });
    // In the meantime the client may have left, or the server may be ending.
    if (reply.left.aborted) return;
    if (!run.start()) {
      await process.stop();
      throw new ApiError("message_not_received", "The connection to Claude Code was lost. Try again.", null, 1);
    }
    this.#run = run;
    this.#sentAt = Date.now();
    this.#runs.add(run);
    void run.over.then(() => this.#runs.delete(run));
    reply.open(temperature);
    for (const { reply } of this.#queue) reply.open("warm");
    await run.freed;
    this.#run = null;
  }

  /** What is known of this conversation; begun here if it is new. */
  #session({ path }: Workspace): SessionRow {
    const known = this.#deps.sessions.find(this.identity.key);
    const now = Date.now();
    const hash = launchHash(path, this.#deps.config);
    const session: SessionRow = known
      ? { ...known, workspace: path, launchHash: hash, lastActiveAt: now }
      : {
          ...this.identity,
          claudeSession: crypto.randomUUID(),
          workspace: path,
          launchHash: hash,
          model: null,
          createdAt: now,
          lastActiveAt: now,
          turns: 0,
        };
    const { turns: _counted, ...row } = session;
    if (!known || known.launchHash !== hash) this.#deps.sessions.save(row);
    return session;
  }

  /**
   * The conversation's claude, free for a turn; started or resumed if need be. With it the session, which
   * has a new id where claude could not go on with the old one.
   */
  async #readyProcess(request: Request, session: SessionRow): Promise<[ClaudeProcess, Temperature, SessionRow]> {
    const { workspace, reply } = request;
    const current = this.#process;
    if (
      current?.state === "ready" &&
      launchHash(current.spec.workspace, this.#deps.config) === session.launchHash &&
      (await current.isConnected()) &&
      (await this.#foreignEnds(reply.left))
    ) {
      // It may have ended during the waits.
      if (current.state === "ready" && current.connected) return [current, "warm", session];
    }
    if (reply.left.aborted && current) return [current, "warm", session];
    await current?.stop();
    const transcript = await this.#findTranscript(session);
    const process = await this.#deps.pool.start(
      {
        sessionKey: session.key,
        claudeSession: session.claudeSession,
        resume: transcript !== null,
        workspace: workspace.path,
        trusted: workspace.trusted,
      },
      reply.left,
    );
    this.#process = process;
    process.isBusy = () => this.isBusy;
    process.onEvent = (event) => this.#takeEvent(process, event);
    try {
      await process.ready;
    } catch (error) {
      // claude has a file of this session but cannot go on with it. It will not take the id for a new one either.
      if (!transcript || !(error instanceof ApiError) || !/No conversation found/.test(error.message)) throw error;
      await process.stop();
      const { turns: _counted, ...row } = { ...session, claudeSession: crypto.randomUUID() };
      this.#deps.sessions.save(row);
      this.#transcript = null;
      return this.#readyProcess(request, { ...session, claudeSession: row.claudeSession });
    }
    if (transcript === null && session.turns > 0) {
      log.warning("claude's transcript is gone, the session starts anew", { session: session.key });
      reply.put({
        type: "text",
        text: "[synthesis: Claude Code's record of this conversation is gone; it has forgotten what was said before.]\n\n",
      });
    }
    return [process, transcript === null ? "cold" : "resumed", session];
  }

  /** Where claude's transcript is; null while there is none, or when it is gone. */
  async #findTranscript({ claudeSession }: SessionRow): Promise<string | null> {
    if (!this.#transcript || !existsSync(this.#transcript)) {
      this.#transcript = await findTranscript(claudeSession, this.#deps.env);
    }
    return this.#transcript;
  }

  /** Waits until claude is done with prompts that are not ours. False when that takes longer than a turn may. */
  async #foreignEnds(left: AbortSignal): Promise<boolean> {
    if (this.#foreign.size === 0) return true;
    const given = AbortSignal.any([left, AbortSignal.timeout(this.#deps.config.turnTimeoutMs)]);
    const giveUp = Promise.withResolvers<void>();
    given.addEventListener("abort", () => giveUp.resolve());
    while (this.#foreign.size > 0 && !given.aborted) await Promise.race([this.#foreignOver.promise, giveUp.promise]);
    return this.#foreign.size === 0;
  }

  #takeEvent(process: ClaudeProcess, event: ClaudeEvent): void {
    if (event.type === "hook") this.#noteForeign(event.hook);
    // A person at claude's terminal may interrupt a prompt, and no hook says so.
    else if (event.type === "status") {
      if (this.#foreign.size > 0 && process.status?.status === "idle") this.#endForeign(() => true);
    } else if (event.type === "exit") {
      this.#endForeign(() => true);
      if (this.#process === process) this.#process = null;
    }
    for (const run of this.#runs) run.take(event);
    if (event.type === "exit") this.#rest();
  }

  /** Keeps account of the prompts that are not ours: a wake-up, or a person at claude's terminal. */
  #noteForeign(hook: HookBody): void {
    const id = hook.prompt_id;
    if (id === undefined) return;
    if (hook.hook_event_name === "UserPromptSubmit") {
      const message = channelMessageId(hook.prompt);
      if (![...this.#runs].some((run) => run.id === message)) this.#foreign.add(id);
    } else if (hook.hook_event_name === "Stop" || hook.hook_event_name === "StopFailure") {
      this.#endForeign((foreign) => foreign === id);
    }
  }

  #endForeign(which: (promptId: string) => boolean): void {
    if (this.#foreign.size === 0) return;
    for (const id of this.#foreign) if (which(id)) this.#foreign.delete(id);
    if (this.#foreign.size > 0) return;
    this.#foreignOver.resolve();
    this.#foreignOver = Promise.withResolvers();
    // Others may be waiting for its place.
    if (!this.isBusy) this.#deps.pool.noteIdle();
  }
}
