/**
 * Translates the lines of stream-json to the events that Claude Code's hooks report in a terminal, so that a turn is the
 * same whichever way Claude Code is run.
 */
import type { HookBody } from "../../wire/hooks.ts";
import type { ClaudeEvent } from "../agent-process.ts";
import { REPEATED } from "../repeated-answer.ts";
import type { Row } from "../transcript/rows.ts";
import type { AssistantLine, StreamEventLine, StreamLine } from "./protocol.ts";

/** The text of one block of a model's message, as far as it was reported. */
interface Block {
  readonly message: string;
  /** The index of the next delta. */
  next: number;
}

export class StreamTranslator {
  readonly #claudeSession: string;
  readonly #now: () => number;
  /** The message that Claude Code works on; null when it is idle. Its id also serves as the prompt's id. */
  #current: string | null = null;
  /** Text blocks that are being written, by their index in the message. */
  readonly #blocks = new Map<number, Block>();
  /** The message that is being streamed, and its text so far; null when none is. */
  #streamed: { readonly id: string; text: string } | null = null;
  /** What was shown of a message whose stream broke off, as far as its repetition has not come yet. */
  #abandoned = "";
  /** As much of the repetition as was shown before. */
  #repetition = "";
  /** How many blocks of the turn came without being streamed. */
  #wholeBlocks = 0;
  /** Tools that run, by the ids of their uses. */
  readonly #tools = new Map<string, { readonly name: string; readonly startedAt: number }>();
  /** The rows of the turn, as the transcript will have them. */
  #rows: { readonly messageId: string; readonly rows: Row[] } | null = null;
  /** The kind of the failure that Claude Code reported last. */
  #failure: string | null = null;
  /** A hook of the user's has refused the message. */
  #isRefused = false;

  /** @param now a monotonic clock, in ms */
  constructor(claudeSession: string, now: () => number) {
    this.#claudeSession = claudeSession;
    this.#now = now;
  }

  /** The id of the message that Claude Code works on; null when it is idle. */
  get current(): string | null {
    return this.#current;
  }

  /** The rows of the current turn, or of the last one; null for an earlier one. */
  rows(messageId: string): readonly Row[] | null {
    return this.#rows?.messageId === messageId ? this.#rows.rows : null;
  }

  /** Translates one line. */
  translate(line: StreamLine): readonly ClaudeEvent[] {
    switch (line.type) {
      case "command_lifecycle":
        return this.#translateLifecycle(line.command_uuid, line.state);
      case "stream_event":
        return line.parent_tool_use_id ? [] : this.#translateDelta(line);
      case "assistant":
        return this.#translateMessage(line);
      case "user":
        return this.#translateResults(line.message.content, line.parent_tool_use_id ?? null);
      case "system":
        return this.#translateSystem(line);
      case "result":
        return this.#finish(line);
      default:
        return [];
    }
  }

  #hook(body: object, agent: string | null = null): ClaudeEvent {
    const common = {
      session_id: this.#claudeSession,
      // The transcript is found by the session's id.
      transcript_path: "",
      ...(this.#current === null ? {} : { prompt_id: this.#current }),
      ...(agent === null ? {} : { agent_id: agent }),
    };
    return { type: "hook", hook: { ...common, ...body } as HookBody };
  }

  #translateLifecycle(id: string, state: string): ClaudeEvent[] {
    if (state === "started") return this.#start(id);
    // It follows the result, so the result named no message, or the turn had none.
    const isOver = id === this.#current && (state === "completed" || state === "cancelled");
    if (!isOver) return [];
    this.#current = null;
    return [{ type: "status" }];
  }

  #start(id: string): ClaudeEvent[] {
    this.#current = id;
    this.#rows = { messageId: id, rows: [] };
    this.#blocks.clear();
    this.#tools.clear();
    this.#streamed = null;
    this.#abandoned = "";
    this.#repetition = "";
    this.#wholeBlocks = 0;
    this.#failure = null;
    this.#isRefused = false;
    const prompt = `<channel message_id="${id}">`;
    return [{ type: "status" }, this.#hook({ hook_event_name: "UserPromptSubmit", prompt })];
  }

  #translateDelta({ event, api_message_id: id = "", abandoned_blocks: abandoned }: StreamEventLine): ClaudeEvent[] {
    if (abandoned) {
      this.#abandoned += this.#streamed?.text ?? "";
      this.#streamed = null;
      return [];
    }
    const { type, index = 0, content_block: started, delta, usage } = event;
    if (type === "message_start") {
      this.#blocks.clear();
      this.#streamed = { id, text: "" };
      return [{ type: "api", activity: { what: "answered" } }, ...this.#endRepetition()];
    }
    if (type === "content_block_start" && started?.type === "text") {
      this.#blocks.set(index, { message: `${id} ${index}`, next: 0 });
      return [];
    }
    if (type === "message_delta") {
      this.#noteMessageEnd(id, delta?.stop_reason, usage?.output_tokens);
      return [{ type: "rows" }];
    }
    const block = this.#blocks.get(index);
    if (!block) return [];
    if (type === "content_block_stop") {
      this.#blocks.delete(index);
      return [this.#display(block, "", true)];
    }
    if (type !== "content_block_delta" || delta?.type !== "text_delta" || !delta.text) return [];
    if (this.#streamed) this.#streamed.text += delta.text;
    return [this.#display(block, delta.text, false)];
  }

  /** The complete figures of a message come after its blocks. */
  #noteMessageEnd(id: string, stopReason: string | null | undefined, outputTokens: number | undefined): void {
    const rows = this.#rows?.rows ?? [];
    rows.forEach((row, at) => {
      if (row.type !== "assistant" || row.message.id !== id) return;
      const { usage } = row.message;
      const message = {
        ...row.message,
        stop_reason: stopReason ?? row.message.stop_reason,
        usage: { ...usage, output_tokens: outputTokens ?? usage.output_tokens },
      };
      rows[at] = { ...row, message };
    });
  }

  #display(block: Block, delta: string, final: boolean): ClaudeEvent {
    const { message: message_id, next: index } = block;
    block.next += 1;
    return this.#hook({ hook_event_name: "MessageDisplay", message_id, index, final, delta });
  }

  #translateMessage(line: AssistantLine): ClaudeEvent[] {
    const { message, error, parent_tool_use_id: agent } = line;
    if (error !== undefined) {
      // A subagent's failed request does not end the turn.
      if (agent) return [];
      this.#failure = error;
      this.#rows?.rows.push({ ...line, isSidechain: false, isApiErrorMessage: true });
      return [];
    }
    this.#rows?.rows.push({ type: "assistant", isSidechain: Boolean(agent), message });
    return message.content.flatMap((block) => {
      if (block.type === "tool_use" && block.id !== undefined && block.name !== undefined) {
        this.#tools.set(block.id, { name: block.name, startedAt: this.#now() });
        const use = { tool_name: block.name, tool_use_id: block.id, tool_input: block.input };
        const hook = this.#hook({ hook_event_name: "PreToolUse", ...use }, agent ?? null);
        return agent ? [hook] : [...this.#endRepetition(), hook];
      }
      const isNew = block.type === "text" && !agent && message.id !== this.#streamed?.id;
      return isNew ? this.#displayWhole(message.id, block.text ?? "") : [];
    });
  }

  /**
   * Shows a block that was not streamed: after a stream has broken off Claude Code repeats the request without streaming.
   * What was shown stands, and only the rest follows.
   */
  #displayWhole(message: string, text: string): ClaudeEvent[] {
    let shown = text;
    if (text.startsWith(this.#abandoned)) {
      shown = text.slice(this.#abandoned.length);
      this.#abandoned = "";
    } else if (this.#abandoned.startsWith(text)) {
      shown = "";
      this.#abandoned = this.#abandoned.slice(text.length);
      this.#repetition += text;
    } else {
      shown = `${REPEATED}${this.#repetition}${text}`;
      this.#abandoned = "";
    }
    return shown === "" ? [] : [this.#displayAtOnce(message, shown)];
  }

  /** The message that repeats another has no more text. What was shown beyond its text is said to be replaced. */
  #endRepetition(): ClaudeEvent[] {
    const isShorter = this.#abandoned.trim() !== "";
    const shown = `${REPEATED}${this.#repetition}`.trim();
    this.#abandoned = "";
    this.#repetition = "";
    return isShorter ? [this.#displayAtOnce("repeated", shown)] : [];
  }

  #displayAtOnce(message: string, text: string): ClaudeEvent {
    this.#wholeBlocks += 1;
    return this.#display({ message: `${message} whole ${this.#wholeBlocks}`, next: 0 }, text, true);
  }

  #translateResults(content: string | readonly { type: string }[], agent: string | null): ClaudeEvent[] {
    // The results themselves are not needed, and they may have many megabytes.
    if (!agent)
      this.#rows?.rows.push({ type: "user", message: { content: typeof content === "string" ? content : [] } });
    if (typeof content === "string") return [];
    return content.flatMap((block: { type: string; tool_use_id?: string; is_error?: boolean | null }) => {
      const tool = this.#tools.get(block.tool_use_id ?? "");
      if (block.type !== "tool_result" || !tool) return [];
      this.#tools.delete(block.tool_use_id ?? "");
      const hook_event_name = block.is_error ? "PostToolUseFailure" : "PostToolUse";
      const use = { tool_name: tool.name, tool_use_id: block.tool_use_id, duration_ms: this.#now() - tool.startedAt };
      return [this.#hook({ hook_event_name, ...use }, agent)];
    });
  }

  #translateSystem(line: StreamLine & { type: "system" }): ClaudeEvent[] {
    if (line.subtype === "status" && line.status === "requesting")
      return [{ type: "api", activity: { what: "requested" } }];
    if (line.subtype === "api_retry") {
      return [
        { type: "api", activity: { what: "failed", status: line.error_status ?? null, message: line.error ?? "" } },
      ];
    }
    if (line.prompt_submit_outcome) this.#isRefused = true;
    return [];
  }

  #finish(line: StreamLine & { type: "result" }): ClaudeEvent[] {
    // A turn that no message of ours caused.
    if (this.#current === null || !line.user_message_uuids.includes(this.#current)) return [];
    const isAborted = line.terminal_reason?.startsWith("aborted") === true;
    const last_assistant_message = line.result;
    const end: ClaudeEvent[] =
      // The transcript tells a turn why it was refused or interrupted.
      this.#isRefused || isAborted
        ? []
        : line.is_error
          ? [this.#hook({ hook_event_name: "StopFailure", error: this.#failure ?? "unknown", last_assistant_message })]
          : [this.#hook({ hook_event_name: "Stop", last_assistant_message })];
    this.#current = null;
    return [...end, { type: "status" }];
  }
}
