/**
 * A claude's start, until messages can be sent: what its screen asks is answered, what its channel says is heeded, and
 * it ends in time.
 */
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import { RequestError } from "../../core/errors.ts";
import { type BlockingSetting, describeBlockingSetting } from "../blocking-settings.ts";
import { type ApiActivity, type ChannelState, type DebugLog, watchDebugLog } from "./debug-log.ts";
import { advise, type Consent, saysNotLoggedIn, showsDialog } from "./dialogs.ts";
import { createScreen, lastLines, type Screen, wholeText } from "./screen.ts";

const log = getLogger(["synthesis", "process"]);

/** Between two looks at the screen. A dialog is answered at the second look that finds it. */
const LOOK_MS = 100;
/** After which a key that did nothing is taken for lost and pressed again. */
const PRESS_AGAIN_MS = 400;
/** A start that fails for want of time may well succeed after so many seconds. */
const RETRY_SECONDS = 30;

export interface BootDeps {
  readonly config: Config;
  readonly debugFile: string;
  readonly consent: Consent;
  /** Claude's folder. */
  readonly workspace: string;
  /** The variable in its environment that keeps plugins off, ours too. */
  readonly withoutPlugins: string | undefined;
  /** Settings that `--settings` cannot override. */
  readonly blockingSettings: readonly BlockingSetting[];
  /** The conversation needs tools from our plugin. */
  readonly wantsTools: boolean;
  /** Whose start it is, for the log. */
  about(): { session: string; pid: number };
  /** Its plugin is connected. */
  isConnected(): boolean;
  press(key: string): void;
  onReady(): void;
  /** A model request was made, answered, or has failed; also when it is ready. */
  onApi(sign: ApiActivity): void;
  /** It never will be ready, and has to be ended. */
  onFailure(error: RequestError): void;
}

export class Boot {
  readonly #deps: BootDeps;
  /** Drawn until claude is ready; nobody looks at it later, and it costs time and memory. */
  #screen: Screen | null = createScreen();
  readonly #debugLog: DebugLog;
  #channel: ChannelState | null = null;
  #looks: Timer | undefined;
  #deadline: Timer | undefined;
  #isOver = false;
  #pressed = { what: "", at: 0 };
  readonly #notes: string[] = [];
  /** The dialogs whose note was taken down: one dialog may need several keys. */
  readonly #noted = new Set<string>();

  constructor(deps: BootDeps) {
    this.#deps = deps;
    this.#debugLog = watchDebugLog(
      deps.debugFile,
      (state) => {
        this.#channel = state;
        this.#look();
      },
      deps.onApi,
    );
  }

  /** The program runs. */
  begin(): void {
    this.#noteDeniedTools();
    this.#looks = setInterval(() => this.check(), LOOK_MS);
    this.#deadline = setTimeout(() => this.#failLate(), this.#deps.config.readyTimeoutMs);
  }

  #noteDeniedTools(): void {
    const { blockingSettings, wantsTools, about } = this.#deps;
    const denied = blockingSettings.filter(({ blocks }) => blocks === "tools").map(describeBlockingSetting);
    if (!wantsTools || denied.length === 0) return;
    const note = `Settings deny Claude the tools of the chat: ${denied.join(", ")}. Remove the rule to allow them.`;
    log.warning("claude starts with less: {note}", { ...about(), note });
    this.#notes.push(note);
  }

  /** Takes what claude writes on its terminal. */
  draw(bytes: Uint8Array): void {
    this.#screen?.write(bytes);
  }

  /** The last lines on its screen, for people; empty when it shows nothing, or is ready. */
  get lastLines(): string {
    return lastLines(this.#screen?.text() ?? "");
  }

  /** What the client loses by the answers that dialogs got, in sentences. Each is given once. */
  takeNotes(): readonly string[] {
    return this.#notes.splice(0);
  }

  /** Looks now whether it is ready. */
  check(): void {
    if (this.#isOver) return;
    this.#debugLog.check();
    this.#look();
  }

  /** It is over, one way or the other: nothing is looked at or pressed any more. */
  end(): void {
    this.#isOver = true;
    clearInterval(this.#looks);
    clearTimeout(this.#deadline);
  }

  /** claude is gone, or never came. */
  close(): void {
    this.end();
    this.#debugLog.close();
    this.#closeScreen();
  }

  /** Is it ready now, does it refuse, does it ask something? */
  #look(): void {
    if (this.#isOver) return;
    const { isConnected, consent, onReady } = this.#deps;
    if (this.#channel?.registered === false) {
      const switches = this.#deps.blockingSettings
        .filter(({ blocks }) => blocks === "channel")
        .map(describeBlockingSetting);
      const named = switches.length === 0 ? "" : ` Look at ${switches.join(", ")}.`;
      this.#fail(new RequestError("channel_refused", `${channelRefused(this.#channel.why)}${named}`));
      return;
    }
    const screen = this.#screen?.text() ?? "";
    if (!isConnected() || !this.#channel?.registered) {
      const advice = advise(screen, consent);
      if (advice && "refuse" in advice) this.#failAtDialog(advice.refuse);
      else if (advice && advice.key !== "") this.#press(advice.dialog, advice.key, advice.note);
    } else if (saysNotLoggedIn(screen)) {
      const message = "Claude Code is not logged in. Run `claude` in a terminal and use /login.";
      this.#fail(new RequestError("claude_not_logged_in", message));
    } else {
      this.end();
      this.#closeScreen();
      onReady();
    }
  }

  /** @param note what the client loses by the answer that this key gives, or leads to */
  #press(dialog: string, key: string, note: string | undefined): void {
    const what = `${dialog} ${key}`;
    const now = performance.now();
    // The first look only notes it: a key sent right after a dialog is painted is often lost.
    if (this.#pressed.what !== what) this.#pressed = { what, at: now - PRESS_AGAIN_MS + LOOK_MS / 2 };
    else if (now - this.#pressed.at >= PRESS_AGAIN_MS) {
      this.#pressed.at = now;
      log.debug("dialog answered: {dialog}", { ...this.#deps.about(), dialog });
      if (note !== undefined && !this.#noted.has(dialog)) {
        log.warning("claude starts with less: {note}", { ...this.#deps.about(), dialog, note });
        this.#noted.add(dialog);
        this.#notes.push(note);
      }
      this.#deps.press(key);
    }
  }

  /** Time is up. Only where no dialog waits for a person can more of it help. */
  #failLate(): void {
    const late = `Claude Code was not ready after ${this.#deps.config.readyTimeoutMs} ms`;
    const screen = this.#screen?.text() ?? "";
    // A dialog that still gets its keys shows that the start is slow, and not that a person is needed.
    const advice = advise(screen, this.#deps.consent);
    const isBeingAnswered = advice !== null && "key" in advice && advice.key !== "";
    if (showsDialog(screen) && !isBeingAnswered) {
      this.#failAtDialog(
        `${late}, and asks something that only you can answer. Run \`claude\` once in ${this.#deps.workspace} and answer it there.`,
      );
    } else if (this.#deps.withoutPlugins !== undefined) {
      const message = `${late}: ${this.#deps.withoutPlugins} keeps its plugins off. Unset it and restart synthesis.`;
      this.#fail(new RequestError("claude_not_ready", message));
    } else {
      const shown = this.lastLines;
      this.#fail(
        new RequestError(
          "claude_not_ready",
          `${late}. \`synthesis doctor --live\` says where it stays; SYNTHESIS_READY_TIMEOUT_MS gives it more time.` +
            (shown && ` Its screen:\n${shown}`),
          { retryAfter: RETRY_SECONDS },
        ),
      );
    }
  }

  /** Only the screen says what Claude Code asks. */
  #failAtDialog(message: string): void {
    const screen = wholeText(this.#screen?.text() ?? "");
    this.#fail(new RequestError("claude_not_ready", `${message} Its screen:\n${screen}`));
  }

  #fail(error: RequestError): void {
    // The screen may show what was said in the conversation, which belongs in no log.
    const [message] = error.message.split(" Its screen:");
    log.warning("claude not ready: {message}", { ...this.#deps.about(), message });
    this.#deps.onFailure(error);
  }

  #closeScreen(): void {
    this.#screen?.dispose();
    this.#screen = null;
  }
}

function channelRefused(why: string): string {
  const advice = /not currently available/.test(why)
    ? "Channels need a Claude Code that has been online once, and none of DISABLE_TELEMETRY, DO_NOT_TRACK, " +
      "DISABLE_GROWTHBOOK, CLAUDE_CODE_DISABLE_FEATURE_FLAGS and CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC set."
    : /third-party/.test(why)
      ? "Channels do not work with Bedrock, Vertex or Foundry."
      : /org policy|allowlist|channels list/.test(why)
        ? "Your organisation's managed settings must have channelsEnabled and list the plugin `synthesis` of the " +
          "marketplace `inline` in allowedChannelPlugins."
        : "Run `claude --debug` for more.";
  return `Claude Code refuses the channel through which synthesis talks to it: ${why}. ${advice}`;
}
