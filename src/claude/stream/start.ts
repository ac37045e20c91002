/**
 * How a stream process becomes ready: Claude Code says which settings it uses, and is given what its conversation needs.
 * A spare becomes ready twice, without a conversation and with its first one.
 */
import type { Config } from "../../config/schema.ts";
import type { Clock } from "../../core/clock.ts";
import type { Exit } from "../agent-process.ts";
import { deniedToolsNote, findBlockingSettings } from "../blocking-settings.ts";
import { BootFailure } from "../boot-failure.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import type { StreamOptions } from "./options.ts";

interface StreamStartDeps {
  readonly options: StreamOptions;
  readonly config: Config;
  /** The environment that Claude Code gets. */
  readonly env: Record<string, string | undefined>;
  readonly clock: Clock;
  readonly spec: () => LaunchSpec;
  /** No conversation owns the process yet. */
  readonly isSpare: () => boolean;
  /** What the client should know already, in sentences. */
  readonly notes: readonly string[];
  /** Gives Claude Code what was said before the process was started. Resolves when it has read that. */
  readonly writePast: () => Promise<void>;
  /** @param claudePid Claude Code's own process id, if it has reported it */
  readonly onInitialized: (claudePid: number | undefined) => void;
  readonly onReady: () => void;
  readonly onFailure: () => void;
  /** Claude Code has not taken the prompt and the tools, and may have the first message already. */
  readonly onUnprepared: () => void;
}

export class StreamStart {
  readonly #deps: StreamStartDeps;
  readonly #notes: string[];
  #whenReady = newReady();
  #isPending = true;
  #cancelTimeout = () => {};

  constructor(deps: StreamStartDeps) {
    this.#deps = deps;
    this.#notes = [...deps.notes];
  }

  /** Resolves when messages can be sent. Rejects with a `BootFailure`. */
  get ready(): Promise<void> {
    return this.#whenReady.promise;
  }

  /** What the client loses by how the process was started, in sentences. Each is returned once. */
  takeNotes(): readonly string[] {
    return this.#notes.splice(0);
  }

  /** The process runs. */
  async begin(): Promise<void> {
    const { options, spec, isSpare } = this.#deps;
    this.#beginTimeout();
    const initialized = isSpare() ? null : this.#initialize();
    try {
      this.#notes.push(...(await options.checkSettings(spec().choice, initialized)));
    } catch (error) {
      this.#fail(error);
      return;
    }
    // A conversation may have adopted the process meanwhile.
    if (!isSpare()) {
      if (!initialized) void this.#initialize();
      await this.#finish();
    } else {
      options.warmUp();
      this.#succeed();
    }
  }

  /** Claude Code has read a message of the past, so it may take as long again for the next one: the past may be long. */
  noteProgress(): void {
    if (!this.#isPending) return;
    this.#cancelTimeout();
    this.#beginTimeout();
  }

  #beginTimeout(): void {
    const { clock, config } = this.#deps;
    const { readyTimeoutMs } = config;
    this.#cancelTimeout = clock.after(readyTimeoutMs, () => this.#fail(timeout(readyTimeoutMs)));
  }

  /** A conversation has adopted the process. */
  adopt(): void {
    // `begin` finds the conversation.
    if (this.#isPending) return;
    this.#isPending = true;
    this.#whenReady = newReady();
    void this.#initialize();
    void this.#finish();
  }

  /** The process is stopped, or has exited. @param failure why it did not become ready; ignored if it did */
  end(failure: BootFailure): void {
    this.#isPending = false;
    this.#cancelTimeout();
    this.#whenReady.reject(failure);
  }

  /** Gives Claude Code the prompt and the tools of its conversation. Resolves when it has taken them, and never rejects. */
  async #initialize(): Promise<void> {
    const { options, config, env, onInitialized, onUnprepared } = this.#deps;
    const spec = this.#deps.spec();
    const deniedTools = deniedToolsNote(findBlockingSettings(spec.choice.workspace, env), spec, config);
    if (deniedTools !== null) this.#notes.push(deniedTools);
    const { content, refusal } = await options.initialize(spec.choice, spec.tools.size > 0);
    if (refusal === null) onInitialized(content?.pid);
    else if (this.#isPending) this.#fail(refused(refusal));
    else onUnprepared();
  }

  /**
   * Becomes ready without waiting for the response to `initialize`, which takes Claude Code 10 to 20 ms: it takes the
   * prompt and the tools before it reads the next line, so a message that follows at once is answered with them.
   */
  async #finish(): Promise<void> {
    const { options, spec, writePast } = this.#deps;
    if (!(await options.change(spec().choice))) this.#fail(refused("it refused the model or the effort"));
    else {
      await writePast();
      this.#succeed();
    }
  }

  #succeed(): void {
    if (!this.#isPending) return;
    this.#isPending = false;
    this.#cancelTimeout();
    this.#deps.onReady();
    this.#whenReady.resolve();
  }

  #fail(error: unknown): void {
    if (!this.#isPending) return;
    this.#whenReady.reject(error);
    this.#deps.onFailure();
  }
}

function newReady(): PromiseWithResolvers<void> {
  const ready = Promise.withResolvers<void>();
  // A rejection must not count as unhandled when nothing awaits the promise.
  ready.promise.catch(() => {});
  return ready;
}

const timeout = (ms: number): BootFailure =>
  new BootFailure(
    "timeout",
    `Claude Code was not ready after ${ms} ms. Send the message again; SYNTHESIS_READY_TIMEOUT_MS gives it more time.`,
    { retryAfter: 30 },
  );

const refused = (why: string): BootFailure =>
  new BootFailure(
    "exited",
    `Claude Code could not be initialized: ${why}. Run \`synthesis doctor --live\` to find the cause.`,
  );

export const stopped = (): BootFailure =>
  new BootFailure("stopped", "Claude Code was stopped before it was ready. Send the message again.", { retryAfter: 1 });

/** @param stderr the end of what the process has written to stderr */
export function exitedAtStart({ code, signal }: Exit, stderr: string): BootFailure {
  const reason = /No conversation found with session ID/.test(stderr) ? "session_not_found" : "exited";
  const summary =
    `Claude Code exited while it started (${signal ?? `exit code ${code}`}). Run \`synthesis doctor --live\` to find ` +
    `the cause.${stderr === "" ? "" : ` It wrote: ${stderr}`}`;
  return new BootFailure(reason, summary, { retryAfter: signal === null ? undefined : 5 });
}
