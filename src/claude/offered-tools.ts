/** The client's tools that one process has been offered, and Claude's calls of these tools. */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../core/clock.ts";
import { argumentsFor, type ToolCall, type ToolCatalogue } from "../core/tools.ts";
import type { ToolCallFrame, ToolContent, ToolDefinition, ToolResultFrame, ToolsFrame } from "../wire/frames.ts";

const log = getLogger(["synthesis", "process"]);

/** How long Claude Code may take to request changed tools, in ms. It does so at most once per second. */
const LISTING_MS = 3_000;

export class OfferedTools {
  readonly #push: (frame: ToolsFrame | ToolResultFrame) => void;
  readonly #logFields: () => { session: string; pid: number };
  readonly #clock: Clock;
  /** The tools that may be called now. */
  #catalogue: ToolCatalogue;
  /** Every tool that Claude has ever been offered. */
  readonly #offered = new Map<string, ToolDefinition>();
  #revision = 0;
  /** Resolves when Claude Code has requested the newest tools; null when it has them. */
  #listing: PromiseWithResolvers<void> | null = null;
  /** Calls by their ids, with their results; null while the result is missing. */
  readonly #calls = new Map<string, ToolResultFrame | null>();

  /**
   * @param catalogue the tools that the process is started with
   * @param push sends a frame to the plugin, if it is connected
   * @param logFields names the process in the log
   */
  constructor(
    catalogue: ToolCatalogue,
    push: (frame: ToolsFrame | ToolResultFrame) => void,
    logFields: () => { session: string; pid: number },
    clock: Clock,
  ) {
    this.#catalogue = catalogue;
    this.#push = push;
    this.#logFields = logFields;
    this.#clock = clock;
    this.#add(catalogue);
  }

  get catalogue(): ToolCatalogue {
    return this.#catalogue;
  }

  get definitions(): readonly ToolDefinition[] {
    return [...this.#offered.values()];
  }

  /** Offers Claude these tools before Claude Code has requested any. */
  begin(catalogue: ToolCatalogue): void {
    this.#catalogue = catalogue;
    this.#add(catalogue);
  }

  /**
   * Offers Claude these tools. Resolves when Claude Code has requested them, or does not request them in time. Tools
   * that were offered before stay in the list: Claude Code would still show a removed tool to the model, and answer
   * calls of it itself.
   */
  async offer(catalogue: ToolCatalogue): Promise<void> {
    this.#catalogue = catalogue;
    const before = this.definitions;
    this.#add(catalogue);
    if (this.#listing === null && Bun.deepEquals(before, this.definitions)) return;
    this.#revision += 1;
    const listing = Promise.withResolvers<void>();
    this.#listing = listing;
    this.#pushAll();
    const cancelTimeout = this.#clock.after(LISTING_MS, () => {
      log.warning("claude did not request its changed tools", this.#logFields());
      listing.resolve();
    });
    await listing.promise;
    cancelTimeout();
  }

  /** Sends the tools again to a plugin that has reconnected, because it may have missed the newest ones. */
  repeat(): void {
    if (this.#listing) this.#pushAll();
  }

  /** Claude Code has requested the tools and got this revision. */
  noteListed(revision: number): void {
    if (revision !== this.#revision) return;
    this.#listing?.resolve();
    this.#listing = null;
  }

  /**
   * Receives a call.
   * @returns the call if the client must answer it; null if it is known already, or its tool is no longer offered
   */
  receive({ id, name, arguments: given }: ToolCallFrame): ToolCall | null {
    const known = this.#calls.get(id);
    if (known !== undefined) {
      // The plugin repeats a call after its connection dropped. The result may have been lost with the connection.
      if (known) this.#push(known);
      return null;
    }
    this.#calls.set(id, null);
    log.debug("call received", this.#logFields());
    const tool = this.#catalogue.get(name);
    if (tool) return { id, name: tool.name, arguments: argumentsFor(tool, given) };
    this.answer(id, [{ type: "text", text: `The tool ${name} is no longer offered.` }], true);
    return null;
  }

  /** Sends Claude the result of a call. Only the first result of a call counts. */
  answer(id: string, content: readonly ToolContent[], isError: boolean): void {
    if (this.#calls.get(id)) return;
    const result: ToolResultFrame = { type: "tool_result", id, content, is_error: isError };
    this.#calls.set(id, result);
    this.#push(result);
  }

  /** Claude no longer waits for any call that it has made so far. */
  forgetCalls(): void {
    this.#calls.clear();
  }

  #add(catalogue: ToolCatalogue): void {
    for (const [name, { definition }] of catalogue) this.#offered.set(name, definition);
  }

  #pushAll(): void {
    this.#push({ type: "tools", revision: this.#revision, tools: this.definitions });
  }
}
