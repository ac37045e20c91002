/**
 * The options of a running Claude Code: it is given the system prompt and our tools once, before its first message, and
 * model and effort whenever they change. None of this needs a restart.
 */
import type { Config, Effort } from "../../config/schema.ts";
import { RequestError } from "../../core/errors.ts";
import { PLUGIN_NAME, SERVER_NAME } from "../../plugin/manifest.ts";
import { BootFailure } from "../boot-failure.ts";
import type { LaunchChoice, LaunchSpec } from "../launch-spec.ts";
import { replacesSystemPrompt, systemPrompt } from "../system-prompt.ts";
import { unusedSettingsNotes } from "../unreadable-settings.ts";
import type { ControlAnswer, ControlBody, ControlRequests } from "./control-requests.ts";
import type { SettingsReport, SettingsReports } from "./settings-reports.ts";

/** The name of our MCP server. With it the tools have the names that they have in a terminal. */
export const MCP_SERVER = `plugin_${PLUGIN_NAME}_${SERVER_NAME}`;
/** How long Claude Code may take to change an option, in ms. It usually needs less than 30. */
const CHANGE_MS = 5_000;

export class StreamOptions {
  readonly #control: Pick<ControlRequests, "ask" | "send">;
  readonly #config: Config;
  readonly #env: Record<string, string | undefined>;
  readonly #reports: SettingsReports;
  /** The model as it was set last; undefined when only Claude Code knows it. */
  #model: string | null | undefined;
  #effort: Effort;
  /** Claude Code's name for the model that it uses when the request names none. */
  #defaultModel = "default";
  /** Claude Code has our MCP server. */
  #hasServer = false;

  /**
   * @param spec what the process is started with
   * @param env the environment that Claude Code gets
   */
  constructor(
    control: Pick<ControlRequests, "ask" | "send">,
    { choice, resume }: LaunchSpec,
    config: Config,
    env: Record<string, string | undefined>,
    reports: SettingsReports,
  ) {
    this.#control = control;
    this.#config = config;
    this.#env = env;
    this.#reports = reports;
    // Without `--model`, a resumed session keeps the model that it had last.
    this.#model = resume && choice.model === null ? undefined : choice.model;
    this.#effort = this.#effortOf(choice);
  }

  #effortOf = ({ effort }: Pick<LaunchChoice, "effort">): Effort => effort ?? this.#config.effort;

  /**
   * Makes sure that Claude Code uses every settings file that restricts Claude.
   * @param started resolves when Claude Code has read its settings; null when only its report shows that
   * @returns what the client should know about the other files, in sentences
   * @throws BootFailure when it does not use one
   */
  async checkSettings(choice: LaunchChoice, started: Promise<unknown> | null): Promise<readonly string[]> {
    const report = await this.#reports.find(choice, started, () => this.#askSettings());
    if (report === null) return [];
    this.#defaultModel = report.defaultModel;
    try {
      return unusedSettingsNotes(choice.workspace, this.#env, report);
    } catch (error) {
      throw error instanceof RequestError ? new BootFailure("invalid_settings", error.message) : error;
    }
  }

  async #askSettings(): Promise<SettingsReport | null> {
    const { content } = await this.#control.ask({ subtype: "get_settings" }, this.#config.readyTimeoutMs);
    if (!content) return null;
    const { model, env } = content.effective ?? {};
    return {
      sources: (content.sources ?? []).map(({ source }) => source),
      faulty: (content.errors ?? []).map(({ file }) => file ?? ""),
      // In the order in which Claude Code looks for it. Of an alias it would report only the model behind it.
      defaultModel: env?.ANTHROPIC_MODEL || this.#env.ANTHROPIC_MODEL || model || "default",
    };
  }

  /**
   * Gives Claude Code the system prompt and, where it has tools to offer, our MCP server. Only the first call has an
   * effect.
   * @param hasTools the client has tools
   */
  initialize(choice: LaunchChoice, hasTools: boolean): Promise<ControlAnswer> {
    // Connecting a server costs Claude Code some 30 ms, and most conversations never have tools.
    this.#hasServer = hasTools || this.#config.reply === "tool";
    const prompt = replacesSystemPrompt(choice, this.#config) ? "systemPrompt" : "appendSystemPrompt";
    const request = {
      subtype: "initialize",
      [prompt]: systemPrompt(choice, this.#config),
      sdkMcpServers: this.#hasServer ? [MCP_SERVER] : [],
    };
    return this.#control.ask(request, this.#config.readyTimeoutMs);
  }

  /**
   * Lets Claude Code make its system prompt and describe its tools before there is a message: it does so to estimate
   * their size, and keeps them. The first message then needs some 25 ms of CPU time less.
   */
  warmUp(): void {
    // With "full" it would ask Anthropic for the exact size.
    this.#control.send({ subtype: "get_context_usage", detail: "summary" });
  }

  /** Claude Code has our MCP server, so it lists the tools whenever they change. */
  get hasServer(): boolean {
    return this.#hasServer;
  }

  /**
   * Connects Claude Code to our MCP server after the start, because the client has its first tools now.
   * @returns false when Claude Code has refused
   */
  async connectServer(): Promise<boolean> {
    this.#hasServer = true;
    const servers = { [MCP_SERVER]: { type: "sdk", name: MCP_SERVER } };
    const { refusal } = await this.#ask({ subtype: "mcp_set_servers", servers });
    return refusal === null;
  }

  /** Changes model and effort. @returns false when Claude Code has refused a change */
  async change(choice: Pick<LaunchChoice, "model" | "effort">): Promise<boolean> {
    const { model } = choice;
    const effort = this.#effortOf(choice);
    const answers = await Promise.all([
      ...(model === this.#model ? [] : [this.#ask({ subtype: "set_model", model: model ?? this.#defaultModel })]),
      ...(effort === this.#effort
        ? []
        : [this.#ask({ subtype: "apply_flag_settings", settings: { effortLevel: effort } })]),
    ]);
    if (answers.some(({ refusal }) => refusal !== null)) return false;
    this.#model = model;
    this.#effort = effort;
    return true;
  }

  #ask = (request: ControlBody) => this.#control.ask(request, CHANGE_MS);
}
