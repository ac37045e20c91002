/**
 * A claude's start, until messages can be sent: what its screen asks is answered, what its channel says is heeded, and
 * it ends in time.
 */
import { getLogger } from "@logtape/logtape";
import type { Config } from "../config/schema.ts";
import { ApiError } from "../openai/errors.ts";
import { type ChannelState, type DebugLog, watchDebugLog } from "./debug-log.ts";
import { advise, saysNotLoggedIn } from "./dialogs.ts";
import { createScreen, lastLines, type Screen } from "./screen.ts";

const log = getLogger(["synthesis", "process"]);

/** Between two looks at the screen. A dialog is answered at the second look that finds it. */
const LOOK_MS = 100;
/** After which a key that did nothing is taken for lost and pressed again. */
const PRESS_AGAIN_MS = 400;

export interface StartDeps {
  readonly config: Config;
  readonly debugFile: string;
  /** The configuration names claude's folder. */
  readonly trusted: boolean;
  /** Whose start it is, for the log. */
  about(): { session: string; pid: number };
  /** Its plugin is connected. */
  isConnected(): boolean;
  press(key: string): void;
  onReady(): void;
  /** It never will be ready, and has to be ended. */
  onFailure(error: ApiError): void;
}

export class Start {
  readonly #deps: StartDeps;
  /** Drawn until claude is ready; nobody looks at it later, and it costs time and memory. */
  #screen: Screen | null = createScreen();
  readonly #debugLog: DebugLog;
  #channel: ChannelState | null = null;
  #looks: Timer | undefined;
  #deadline: Timer | undefined;
  #isOver = false;
  #pressed = { what: "", at: 0 };

  constructor(deps: StartDeps) {
    this.#deps = deps;
    this.#debugLog = watchDebugLog(deps.debugFile, (state) => {
      this.#channel = state;
      this.#look();
    });
  }

  /** The program runs. */
  begin(): void {
    const { readyTimeoutMs } = this.#deps.config;
    this.#looks = setInterval(() => this.check(), LOOK_MS);
    this.#deadline = setTimeout(
      () =>
        this.#fail(
          `Claude Code was not ready after ${readyTimeoutMs} ms. \`synthesis doctor --live\` says where it stays; ` +
            "SYNTHESIS_READY_TIMEOUT_MS gives it more time.",
        ),
      readyTimeoutMs,
    );
  }

  /** Takes what claude writes on its terminal. */
  draw(bytes: Uint8Array): void {
    this.#screen?.write(bytes);
  }

  /** The last lines on its screen, for people; empty when it shows nothing, or is ready. */
  get lastLines(): string {
    return lastLines(this.#screen?.text() ?? "");
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
    const { isConnected, trusted, config, onReady } = this.#deps;
    if (this.#channel?.registered === false) {
      this.#fail(channelRefused(this.#channel.why), "channel_refused");
      return;
    }
    const screen = this.#screen?.text() ?? "";
    if (!isConnected() || !this.#channel?.registered) {
      const advice = advise(screen, { trusted, useApiKey: config.useApiKey });
      if (advice && "refuse" in advice) this.#fail(advice.refuse);
      else if (advice && advice.key !== "") this.#press(advice.dialog, advice.key);
    } else if (saysNotLoggedIn(screen)) {
      this.#fail("Claude Code is not logged in. Run `claude` in a terminal and use /login.", "claude_not_logged_in");
    } else {
      this.end();
      this.#closeScreen();
      onReady();
    }
  }

  #press(dialog: string, key: string): void {
    const what = `${dialog} ${key}`;
    const now = performance.now();
    // The first look only notes it: a key sent right after a dialog is painted is often lost.
    if (this.#pressed.what !== what) this.#pressed = { what, at: now - PRESS_AGAIN_MS + LOOK_MS / 2 };
    else if (now - this.#pressed.at >= PRESS_AGAIN_MS) {
      this.#pressed.at = now;
      log.debug("dialog answered: {dialog}", { ...this.#deps.about(), dialog });
      this.#deps.press(key);
    }
  }

  #fail(
    message: string,
    code: "claude_not_ready" | "channel_refused" | "claude_not_logged_in" = "claude_not_ready",
  ): void {
    const screen = this.lastLines;
    const full = code === "claude_not_ready" && screen ? `${message} Its screen:\n${screen}` : message;
    log.warning("claude not ready: {message}", { ...this.#deps.about(), message });
    this.#deps.onFailure(new ApiError(code, full, null, 30));
  }

  #closeScreen(): void {
    this.#screen?.dispose();
    this.#screen = null;
  }
}

function channelRefused(why: string): string {
  const advice = /not currently available/.test(why)
    ? "Channels need a Claude Code that has been online once, and none of DISABLE_TELEMETRY, DO_NOT_TRACK, " +
      "DISABLE_GROWTHBOOK and CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC set."
    : /third-party/.test(why)
      ? "Channels do not work with Bedrock, Vertex or Foundry."
      : /org policy|allowlist|channels list/.test(why)
        ? "Your organisation's managed settings must have channelsEnabled and list the plugin `synthesis` of the " +
          "marketplace `inline` in allowedChannelPlugins."
        : "Run `claude --debug` for more.";
  return `Claude Code refuses the channel through which synthesis talks to it: ${why}. ${advice}`;
}
