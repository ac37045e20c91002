/** The lines of one turn, as claude writes them over stream-json. */
import type { StandInOutput } from "./stand-in-output.ts";

/** What the hooks report that are written as lines. */
interface Report {
  readonly hook_event_name: string;
  readonly message_id?: string;
  readonly index?: number;
  readonly final?: boolean;
  readonly delta?: string;
  readonly tool_name?: string;
  readonly tool_use_id?: string;
  readonly tool_input?: object;
  readonly error?: string;
  readonly last_assistant_message?: string;
}

const USAGE = { input_tokens: 3, cache_read_input_tokens: 1, cache_creation_input_tokens: 0 };
/** Of a message that calls tools: the figures that `stand-in-claude.ts` records. */
const CALL_USAGE = { input_tokens: 1, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
const SYNTHETIC = { input_tokens: 0, cache_read_input_tokens: 0, cache_creation_input_tokens: 0, output_tokens: 0 };

interface OpenMessage {
  readonly id: string;
  readonly usage: typeof USAGE;
  /** How many blocks are complete. */
  blocks: number;
  /** Of the block that is being written; null when none is. */
  text: string | null;
  tokens: number;
}

/** The model's message never has the id of the user's. */
const modelMessage = (id: string): string => `msg_${id}`;

export class StandInAnswer {
  readonly #output: StandInOutput;
  /** The user's message. */
  #turn = "";
  /** The model's message that is being streamed; null when none is. */
  #message: OpenMessage | null = null;
  /** The text that was written last. */
  #last = "";
  /** Tools that run. */
  readonly #tools = new Set<string>();

  constructor(output: StandInOutput) {
    this.#output = output;
  }

  /** A message has arrived. */
  begin(turn: string): void {
    this.#turn = turn;
    this.#message = null;
    this.#last = "";
    this.#tools.clear();
    this.#lifecycle("queued");
  }

  report(report: Report): void {
    switch (report.hook_event_name) {
      case "UserPromptSubmit":
        this.#lifecycle("started");
        this.#output.write({ type: "system", subtype: "init" });
        this.#requestModel();
        break;
      case "MessageDisplay":
        this.#write(report);
        break;
      case "PreToolUse":
        this.#useTool(report);
        break;
      case "PostToolUse":
      case "PostToolUseFailure":
        this.#finishTool(report.tool_use_id ?? "", report.hook_event_name === "PostToolUseFailure");
        break;
      case "Stop":
        this.#result({ subtype: "success", is_error: false, result: this.#last });
        break;
      case "StopFailure":
        this.#fail(report);
    }
  }

  /** The stream of a message has broken off. Claude asks again, and gets the whole text. */
  repeat(message_id: string, text: string): void {
    const message = modelMessage(message_id);
    this.#open(message);
    this.#closeText();
    this.#event({ type: "message_stop" }, { abandoned_blocks: { api_message_id: message, from_block_index: 0 } });
    this.#message = null;
    this.#last = text;
    this.#assistant(`${message} repeated`, { type: "text", text }, 2);
  }

  /** The streamed message is complete. */
  endMessage(stop_reason: string): void {
    if (!this.#message) return;
    const { tokens } = this.#message;
    this.#event({ type: "message_delta", delta: { stop_reason }, usage: { output_tokens: tokens } });
    this.#event({ type: "message_stop" });
    this.#message = null;
  }

  /** The turn is over. @param interrupted the row with which claude has recorded an interruption */
  end(how: "completed" | "cancelled", interrupted?: object): void {
    if (interrupted) {
      const message = this.#message;
      if (message?.text) this.#assistant(message.id, { type: "text", text: message.text });
      this.#output.write({ ...interrupted, parent_tool_use_id: null });
      if (message?.text) {
        this.#event({ type: "content_block_stop", index: message.blocks });
        this.#event({ type: "message_delta", delta: { stop_reason: null }, usage: { output_tokens: 1 } });
        const from = { api_message_id: message.id, from_block_index: message.blocks + 1 };
        this.#event({ type: "message_stop" }, { abandoned_blocks: from });
      }
      this.#result({ subtype: "error_during_execution", is_error: true, terminal_reason: "aborted_streaming" });
    }
    this.#lifecycle(how);
  }

  #write({ message_id = "", delta = "", final }: Report): void {
    const id = modelMessage(message_id);
    this.#open(id);
    const message = this.#message;
    if (!message) return;
    if (message.text === null) {
      this.#event({ type: "content_block_start", index: message.blocks, content_block: { type: "text", text: "" } });
      message.text = "";
    }
    message.text += delta;
    this.#last = message.text;
    message.tokens += 1;
    this.#event({ type: "content_block_delta", index: message.blocks, delta: { type: "text_delta", text: delta } });
    if (!final) return;
    this.#assistant(id, { type: "text", text: message.text });
    this.#closeText();
    this.endMessage("end_turn");
  }

  #useTool({ tool_use_id: id = "", tool_name: name, tool_input: input = {} }: Report): void {
    this.#open(this.#message?.id ?? `calls ${id}`, CALL_USAGE);
    const message = this.#message;
    if (!message) return;
    const index = message.blocks;
    this.#tools.add(id);
    this.#event({ type: "content_block_start", index, content_block: { type: "tool_use", id, name, input: {} } });
    const partial_json = JSON.stringify(input);
    this.#event({ type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json } });
    this.#assistant(message.id, { type: "tool_use", id, name, input });
    this.#event({ type: "content_block_stop", index });
    message.blocks += 1;
    message.tokens = 1;
  }

  #finishTool(id: string, is_error: boolean): void {
    const failed = is_error ? { is_error } : {};
    const content = [{ tool_use_id: id, type: "tool_result", content: [{ type: "text", text: "done" }], ...failed }];
    this.#output.write({ type: "user", message: { role: "user", content }, parent_tool_use_id: null });
    this.#tools.delete(id);
    if (this.#tools.size === 0) this.#requestModel();
  }

  #fail({ error, last_assistant_message: text = "" }: Report): void {
    this.#output.write({ type: "system", subtype: "api_retry", attempt: 1, error_status: 429, error });
    this.#assistant(crypto.randomUUID(), { type: "text", text }, 0, { error });
    this.#result({ subtype: "success", is_error: true, result: text, terminal_reason: "api_error" });
  }

  #open(id: string, usage = USAGE): void {
    if (this.#message?.id === id) return;
    this.#message = { id, usage, blocks: 0, text: null, tokens: 0 };
    const message = { id, type: "message", role: "assistant", content: [], usage: { ...usage, output_tokens: 1 } };
    this.#event({ type: "message_start", message });
  }

  #closeText(): void {
    if (this.#message?.text != null) this.#event({ type: "content_block_stop", index: this.#message.blocks });
  }

  #assistant(id: string, block: object, tokens = 1, more: { readonly error?: string | undefined } = {}): void {
    const figures = this.#message?.id === id ? this.#message.usage : USAGE;
    const usage = more.error === undefined ? { ...figures, output_tokens: tokens } : SYNTHETIC;
    const message = { id, type: "message", role: "assistant", content: [block], stop_reason: null, usage };
    this.#output.write({ type: "assistant", message, parent_tool_use_id: null, ...more });
  }

  #event(event: object, more: object = {}): void {
    this.#output.write({
      type: "stream_event",
      event,
      parent_tool_use_id: null,
      api_message_id: this.#message?.id,
      ...more,
    });
  }

  #requestModel(): void {
    this.#output.write({ type: "system", subtype: "status", status: "requesting" });
  }

  /** Like claude it does not write the type first. */
  #result(result: object): void {
    const user_message_uuids = [this.#turn];
    this.#output.write({ terminal_reason: "completed", ...result, type: "result", user_message_uuids });
  }

  #lifecycle(state: string): void {
    this.#output.write({ type: "command_lifecycle", command_uuid: this.#turn, state });
  }
}
