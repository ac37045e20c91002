/**
 * The start of an interactive process, until messages can be sent: answers the dialogs on its screen, waits for its
 * channel and its plugin, and fails when they are not ready in time.
 */
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import type { Clock } from "../../core/clock.ts";
import type { ApiActivity, Exit } from "../agent-process.ts";
import { type BlockingSetting, deniedToolsNote, describeBlockingSetting, PLUGINS_OFF } from "../blocking-settings.ts";
import { BootFailure } from "../boot-failure.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import { restrictingFiles } from "../restricting-settings.ts";
import { type ChannelRefusal, type ChannelState, type DebugLog, watchDebugLog } from "./debug-log.ts";
import { adviseOnDialog, type Consent, saysNotLoggedIn, saysSessionNotFound, showsDialog } from "./dialogs.ts";
import { createScreen, lastLines, type Screen, wholeText } from "./screen.ts";

const log = getLogger(["synthesis", "process"]);

/** Between two looks at the screen, in ms. A dialog is answered at the second look that finds it. */
const LOOK_MS = 100;
/** When a key has had no effect for this long, in ms, it is considered lost and pressed again. */
const PRESS_AGAIN_MS = 400;
/** After this many seconds, a start that timed out may succeed. */
const RETRY_SECONDS = 30;
/** The same for a process that was killed while it started. */
const RETRY_KILLED_SECONDS = 5;

export interface BootDeps {
  readonly spec: LaunchSpec;
  readonly config: Config;
  /** The server's environment. */
  readonly env: Record<string, string | undefined>;
  readonly clock: Clock;
  readonly debugFile: string;
  /** Settings that `--settings` cannot override. */
  readonly blockingSettings: readonly BlockingSetting[];
  /** Names the process in the log. */
  logFields(): { session: string; pid: number };
  /** The plugin is connected. */
  isConnected(): boolean;
  press(key: string): void;
  onReady(): void;
  /** A model request was made, answered, or has failed. Also called after the process is ready. */
  onApi(activity: ApiActivity): void;
  /** The process will never be ready and must be stopped. */
  onFailure(failure: BootFailure): void;
}

export class Boot {
  readonly #deps: BootDeps;
  readonly #consent: Consent;
  /** Null once the process is ready: nothing reads the screen after that, and drawing costs time and memory. */
  #screen: Screen | null = createScreen();
  readonly #debugLog: DebugLog;
  #channel: ChannelState | null = null;
  #cancelLook = () => {};
  #cancelDeadline = () => {};
  #isOver = false;
  #pressed = { what: "", at: 0 };
  readonly #notes: string[] = [];
  /** Dialogs that have added a note. A dialog may need several keys, but its note is added once. */
  readonly #notedDialogs = new Set<string>();

  constructor(deps: BootDeps) {
    this.#deps = deps;
    const { spec, config, env } = deps;
    this.#consent = {
      trusted: spec.trusted,
      useApiKey: config.useApiKey,
      restrictingFiles: restrictingFiles(spec.choice.workspace, env),
    };
    this.#debugLog = watchDebugLog(
      deps.debugFile,
      (state) => {
        this.#channel = state;
        this.#look();
      },
      deps.onApi,
    );
  }

  /** The program has been started. */
  begin(): void {
    const { clock, config } = this.#deps;
    this.#noteDeniedTools();
    const lookAgain = () => {
      this.#cancelLook = clock.after(LOOK_MS, () => {
        lookAgain();
        this.check();
      });
    };
    lookAgain();
    this.#cancelDeadline = clock.after(config.readyTimeoutMs, () => this.#failLate());
  }

  #noteDeniedTools(): void {
    const { blockingSettings, spec, config } = this.#deps;
    const note = deniedToolsNote(blockingSettings, spec, config);
    if (note !== null) this.#addNote(note);
  }

  #blocking(what: BlockingSetting["blocks"]): readonly string[] {
    return this.#deps.blockingSettings.filter(({ blocks }) => blocks === what).map(describeBlockingSetting);
  }

  #addNote(note: string, fields: object = {}): void {
    log.warning("claude started with limits: {note}", { ...this.#deps.logFields(), ...fields, note });
    this.#notes.push(note);
  }

  /** Takes what the process writes on its terminal. */
  draw(bytes: Uint8Array): void {
    this.#screen?.write(bytes);
  }

  /** The failure of a process that exited before it was ready. */
  failureAtExit({ code, signal }: Exit): BootFailure {
    const screen = this.#lastLines;
    const summary =
      `Claude Code exited while it started (${signal ?? `exit code ${code}`}). Run \`synthesis doctor --live\`, or ` +
      `\`claude\` once in ${this.#deps.spec.choice.workspace}, to find the cause.`;
    const reason = saysSessionNotFound(screen) ? "session_not_found" : "exited";
    return new BootFailure(reason, summary, {
      screen,
      retryAfter: signal === null ? undefined : RETRY_KILLED_SECONDS,
    });
  }

  /** The last lines on the screen, for people; empty when the screen is empty or the process is ready. */
  get #lastLines(): string {
    return lastLines(this.#screen?.text() ?? "");
  }

  /** What the client loses by the answers to dialogs and by settings, in sentences. Each is returned once. */
  takeNotes(): readonly string[] {
    return this.#notes.splice(0);
  }

  /** Checks now whether the process is ready. */
  check(): void {
    if (this.#isOver) return;
    this.#debugLog.check();
    this.#look();
  }

  /** Stops looking at the screen and pressing keys: the process is ready, or it will never be. */
  end(): void {
    this.#isOver = true;
    this.#cancelLook();
    this.#cancelDeadline();
  }

  /** The process has exited or was not started. */
  close(): void {
    this.end();
    this.#debugLog.close();
    this.#closeScreen();
  }

  #look(): void {
    if (this.#isOver) return;
    const { isConnected, onReady } = this.#deps;
    if (this.#channel?.registered === false) {
      this.#fail(new BootFailure("channel_refused", this.#describeRefusal(this.#channel)));
      return;
    }
    const screen = this.#screen?.text() ?? "";
    if (!isConnected() || !this.#channel?.registered) {
      const advice = adviseOnDialog(screen, this.#consent);
      if (advice && "refuse" in advice) this.#failAtDialog(advice.refuse);
      else if (advice && advice.key !== "") this.#press(advice.dialog, advice.key, advice.note);
    } else if (saysNotLoggedIn(screen)) {
      const summary = "Claude Code is not logged in. Run `claude` in a terminal and use /login.";
      this.#fail(new BootFailure("not_logged_in", summary));
    } else {
      this.end();
      this.#closeScreen();
      onReady();
    }
  }

  /** @param note what the client loses by the answer that this key gives or moves towards */
  #press(dialog: string, key: string, note: string | undefined): void {
    const what = `${dialog} ${key}`;
    const now = this.#deps.clock.now();
    // The first look only records the key: a key that is sent right after a dialog was painted is often lost.
    if (this.#pressed.what !== what) this.#pressed = { what, at: now - PRESS_AGAIN_MS + LOOK_MS / 2 };
    else if (now - this.#pressed.at >= PRESS_AGAIN_MS) {
      this.#pressed.at = now;
      log.debug("dialog answered: {dialog}", { ...this.#deps.logFields(), dialog });
      if (note !== undefined && !this.#notedDialogs.has(dialog)) {
        this.#notedDialogs.add(dialog);
        this.#addNote(note, { dialog });
      }
      this.#deps.press(key);
    }
  }

  /** The time is up. A retry can only help if no dialog waits for a person. */
  #failLate(): void {
    const { spec, config, env } = this.#deps;
    const late = `Claude Code was not ready after ${config.readyTimeoutMs} ms`;
    const pluginsOffBy = PLUGINS_OFF.find((name) => env[name]);
    const screen = this.#screen?.text() ?? "";
    // While we are still pressing keys in a dialog, the start is slow, and no person is needed.
    const advice = adviseOnDialog(screen, this.#consent);
    const isBeingAnswered = advice !== null && "key" in advice && advice.key !== "";
    if (showsDialog(screen) && !isBeingAnswered) {
      this.#failAtDialog(
        `${late}: it asks something that only you can answer. Run \`claude\` once in ${spec.choice.workspace} and answer it there.`,
      );
    } else if (pluginsOffBy !== undefined) {
      const summary = `${late}: ${pluginsOffBy} turns its plugins off. Unset it and restart synthesis.`;
      this.#fail(new BootFailure("plugins_disabled", summary));
    } else {
      const summary =
        `${late}. Run \`synthesis doctor --live\` to see which step takes so long, or raise ` +
        "SYNTHESIS_READY_TIMEOUT_MS.";
      this.#fail(new BootFailure("timeout", summary, { screen: this.#lastLines, retryAfter: RETRY_SECONDS }));
    }
  }

  /** The client gets the whole screen, because only the screen says what Claude Code asks. */
  #failAtDialog(summary: string): void {
    this.#fail(new BootFailure("dialog", summary, { screen: wholeText(this.#screen?.text() ?? "") }));
  }

  #fail(failure: BootFailure): void {
    const { reason, summary } = failure;
    log.warning("claude not ready: {message}", { ...this.#deps.logFields(), reason, message: summary });
    this.#deps.onFailure(failure);
  }

  #describeRefusal({ refusal, text }: ChannelState & { registered: false }): string {
    const settings = this.#blocking("channel");
    const named = settings.length === 0 ? "" : ` Check ${settings.join(", ")}.`;
    return `Claude Code refuses the channel through which synthesis talks to it: ${text}. ${REFUSAL_ADVICE[refusal]}${named}`;
  }

  #closeScreen(): void {
    this.#screen?.dispose();
    this.#screen = null;
  }
}

const REFUSAL_ADVICE: Readonly<Record<ChannelRefusal, string>> = {
  unavailable:
    "Channels need a Claude Code that has been online once, and none of DISABLE_TELEMETRY, DO_NOT_TRACK, " +
    "DISABLE_GROWTHBOOK, CLAUDE_CODE_DISABLE_FEATURE_FLAGS and CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC set.",
  provider: "Channels do not work with Bedrock, Vertex or Foundry.",
  not_allowed:
    "Your organization's managed settings must set channelsEnabled and list the plugin `synthesis` of the " +
    "marketplace `inline` in allowedChannelPlugins.",
  other: "Run `claude --debug` for details.",
};
