/**
 * One conversation: its queue of requests, the turn that runs, and the claude that works on it. One
 * turn at a time; claude would merge messages that reach it together.
 */
import { existsSync, statSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import type { Pool } from "../claude/pool.ts";
import type { ClaudeEvent, ClaudeProcess } from "../claude/process.ts";
import { hasTranscript, readTurn } from "../claude/transcript.ts";
import type { Config } from "../config/schema.ts";
import { ApiError } from "../openai/errors.ts";
import type { HookBody } from "../wire/hooks.ts";
import { Reply, type Temperature } from "./reply.ts";
import { newTurn, reduceTurn, type TurnEvent, type TurnOutput, type TurnState } from "./turn.ts";
import type { Workspace } from "./workspace.ts";

const log = getLogger(["synthesis", "conversation"]);

/** From a message's way to the plugin to claude's `UserPromptSubmit`. */
const RECEIPT_MS = 10_000;
const MAX_QUEUE = 16;

interface Request {
  readonly text: string;
  readonly workspace: Workspace;
  readonly reply: Reply;
}

/** A request whose message has been sent. */
interface Turn {
  state: TurnState;
  readonly reply: Reply;
  /** Size of the transcript when the message was sent, in bytes. */
  readonly transcriptAt: number;
  /** Ends the wait for the current deadline. */
  deadline: Timer;
  /** Resolves when claude is free for the next one. */
  readonly free: PromiseWithResolvers<void>;
}

export interface ConversationDeps {
  readonly config: Config;
  readonly pool: Pool;
  readonly env: Record<string, string | undefined>;
}

export class Conversation {
  readonly #deps: ConversationDeps;
  /** claude's session id, the same for as long as the conversation lives. */
  readonly #claudeSession = crypto.randomUUID();
  readonly #queue: Request[] = [];
  #working = false;
  #process: ClaudeProcess | null = null;
  #turn: Turn | null = null;
  #transcript: string | null = null;
  /** Prompts that claude works on and that no request of ours has brought. */
  readonly #foreign = new Set<string>();
  #foreignOver = Promise.withResolvers<void>();

  constructor(
    readonly key: string,
    deps: ConversationDeps,
  ) {
    this.#deps = deps;
  }

  /** A turn runs or waits, or claude works on something of its own. */
  get isBusy(): boolean {
    return this.#working || this.#foreign.size > 0;
  }

  /** Queues a message; the reply tells how it goes. */
  ask(text: string, workspace: Workspace): Reply {
    const reply = new Reply();
    if (this.#queue.length >= MAX_QUEUE) {
      reply.fail(new ApiError("queue_full", "Too many messages wait in this conversation.", null, 10));
      return reply;
    }
    this.#queue.push({ text, workspace, reply });
    if (this.#turn) reply.open("warm");
    void this.#work();
    return reply;
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (let request = this.#queue.shift(); request; request = this.#queue.shift()) {
      try {
        await this.#serve(request);
      } catch (error) {
        if (!(error instanceof ApiError)) log.error("turn failed: {error}", { session: this.key, error });
        request.reply.fail(error);
      }
    }
    this.#working = false;
  }

  /** One request from its place in the queue to a claude that is free again. */
  async #serve({ text, workspace, reply }: Request): Promise<void> {
    if (reply.left.aborted) return;
    const [process, temperature] = await this.#readyProcess(workspace);
    if (reply.left.aborted) return;
    while (this.#foreign.size > 0) await this.#foreignOver.promise;

    const turn: Turn = {
      state: newTurn(reply.id),
      reply,
      transcriptAt: this.#transcript && existsSync(this.#transcript) ? statSync(this.#transcript).size : 0,
      deadline: setTimeout(
        () =>
          this.#failTurn(turn, new ApiError("message_not_received", "Claude Code did not take the message.", null, 1)),
        RECEIPT_MS,
      ),
      free: Promise.withResolvers(),
    };
    this.#turn = turn;
    try {
      if (!process.send(reply.id, this.key, text)) {
        await process.stop();
        throw new ApiError("message_not_received", "The connection to Claude Code is lost. Try again.", null, 1);
      }
      log.info("message sent", { session: this.key, turn: reply.id, pid: process.pid, characters: text.length });
      reply.open(temperature);
      for (const { reply } of this.#queue) reply.open("warm");
      await turn.free.promise;
    } finally {
      clearTimeout(turn.deadline);
      this.#turn = null;
    }
  }

  /** The conversation's claude, ready; started or resumed if need be. */
  async #readyProcess(workspace: Workspace): Promise<[ClaudeProcess, Temperature]> {
    const current = this.#process;
    if (current?.state === "ready" && current.connected && current.spec.workspace === workspace.path) {
      return [current, "warm"];
    }
    // Never two processes on one claude session: both would write to its transcript.
    await current?.stop();
    const resume = await hasTranscript(this.#claudeSession, this.#deps.env);
    const process = await this.#deps.pool.start({
      sessionKey: this.key,
      claudeSession: this.#claudeSession,
      resume,
      workspace: workspace.path,
      trusted: workspace.trusted,
    });
    this.#process = process;
    process.isBusy = () => this.isBusy;
    process.onEvent = (event) => this.#takeEvent(process, event);
    await process.ready;
    return [process, resume ? "resumed" : "cold"];
  }

  #takeEvent(process: ClaudeProcess, event: ClaudeEvent): void {
    if (event.type === "hook") {
      this.#transcript = event.hook.transcript_path;
      this.#noteForeign(event.hook);
      if (this.#turn) this.#reduce(this.#turn, { type: "hook", hook: event.hook, at: Date.now() });
    } else if (event.type === "exit") {
      if (this.#process === process) this.#process = null;
      this.#foreign.clear();
      this.#foreignOver.resolve();
      if (this.#turn) {
        const how = event.exit.signal ?? `exit code ${event.exit.code}`;
        this.#failTurn(
          this.#turn,
          new ApiError("claude_exited", `Claude Code ended in the middle of this turn (${how}).`),
        );
      }
    }
  }

  /** Keeps account of the prompts that are not ours: a wake-up, or a person at claude's terminal. */
  #noteForeign(hook: HookBody): void {
    if (hook.prompt_id === undefined) return;
    if (hook.hook_event_name === "UserPromptSubmit") {
      const turn = this.#turn;
      const ours = turn && hook.prompt.startsWith("<channel ") && hook.prompt.includes(`message_id="${turn.state.id}"`);
      if (!ours) this.#foreign.add(hook.prompt_id);
    } else if (hook.hook_event_name === "Stop" || hook.hook_event_name === "StopFailure") {
      this.#foreign.delete(hook.prompt_id);
      if (this.#foreign.size === 0) {
        this.#foreignOver.resolve();
        this.#foreignOver = Promise.withResolvers();
      }
    }
  }

  #reduce(turn: Turn, event: TurnEvent): void {
    const [state, outputs] = reduceTurn(turn.state, event);
    turn.state = state;
    for (const output of outputs) this.#put(turn, output);
  }

  #put(turn: Turn, output: TurnOutput): void {
    const { reply } = turn;
    const { turnTimeoutMs } = this.#deps.config;
    switch (output.type) {
      case "received":
        clearTimeout(turn.deadline);
        turn.deadline = setTimeout(() => {
          this.#failTurn(
            turn,
            new ApiError("turn_timeout", `Claude Code worked for ${turnTimeoutMs} ms without an end.`),
          );
        }, turnTimeoutMs);
        break;
      case "text":
      case "usage":
        reply.put(output);
        break;
      case "finish":
        reply.put(output);
        log.info("turn finished", { session: this.key, turn: reply.id, characters: turn.state.answer.text.length });
        turn.free.resolve();
        break;
      case "error":
        reply.fail(output.error);
        log.warning("turn failed: {code}", { session: this.key, turn: reply.id, code: output.error.code });
        turn.free.resolve();
        break;
      case "diverged":
        log.warning("the text shown is not the text recorded", { session: this.key, turn: reply.id });
        break;
      case "read_transcript":
        void readTurn(output.path, reply.id, turn.transcriptAt).then((record) => {
          this.#reduce(turn, { type: "transcript", texts: record?.texts ?? null, usage: record?.usage ?? null });
          reply.close();
        });
    }
  }

  /** Ends a turn whose claude cannot be trusted to be done with it; the next one resumes in a new process. */
  #failTurn(turn: Turn, error: ApiError): void {
    const { free } = turn;
    // The turn is free when the process is gone, so that the next one does not find it.
    const gone = this.#process?.stop() ?? Promise.resolve();
    const [state, outputs] = reduceTurn(turn.state, { type: "fail", error });
    turn.state = state;
    for (const output of outputs) if (output.type === "error") turn.reply.fail(output.error);
    void gone.then(() => free.resolve());
  }
}
