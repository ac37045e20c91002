/** The client's tools as one claude has been offered them, and its calls of them. */

import { getLogger } from "@logtape/logtape";
import { argumentsOf } from "../../api/openai-chat/tools.ts";
import type { ToolCall, ToolCatalogue } from "../../core/tools.ts";
import type { ToolCallFrame, ToolContent, ToolDefinition, ToolResultFrame, ToolsFrame } from "../../wire/frames.ts";

const log = getLogger(["synthesis", "process"]);

/** How long claude may take to ask for tools that have changed, which it does once in a second at most. */
const LISTING_MS = 3_000;

export class OfferedTools {
  readonly #push: (frame: ToolsFrame | ToolResultFrame) => void;
  readonly #about: () => { session: string; pid: number };
  /** What may be called. */
  #catalogue: ToolCatalogue;
  /** All that claude has been offered. */
  readonly #offered = new Map<string, ToolDefinition>();
  #revision = 0;
  /** Resolves when claude has asked for the newest tools; null when it knows them. */
  #listing: PromiseWithResolvers<void> | null = null;
  /** Calls that have reached us, by their ids, with their results where there are any. */
  readonly #calls = new Map<string, ToolResultFrame | null>();

  /**
   * @param catalogue what claude is started with
   * @param push sends a frame to the plugin, if that is there
   * @param about whose tools they are, for the log
   */
  constructor(
    catalogue: ToolCatalogue,
    push: (frame: ToolsFrame | ToolResultFrame) => void,
    about: () => { session: string; pid: number },
  ) {
    this.#catalogue = catalogue;
    this.#push = push;
    this.#about = about;
    this.#add(catalogue);
  }

  get catalogue(): ToolCatalogue {
    return this.#catalogue;
  }

  get definitions(): readonly ToolDefinition[] {
    return [...this.#offered.values()];
  }

  /**
   * Offers claude these tools; resolves when it has them, or does not ask for them. What was offered before
   * stays in its list: a tool that is taken off, claude shows to the model all the same, and answers a call of
   * it itself.
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
    const late = setTimeout(() => {
      log.warning("claude does not ask for its tools", this.#about());
      listing.resolve();
    }, LISTING_MS);
    await listing.promise;
    clearTimeout(late);
  }

  /** The plugin is there again: it may have missed the newest. */
  repeat(): void {
    if (this.#listing) this.#pushAll();
  }

  /** claude has asked for those of this revision. */
  noteListed(revision: number): void {
    if (revision !== this.#revision) return;
    this.#listing?.resolve();
    this.#listing = null;
  }

  /** Takes a call of claude's. @returns what is to be answered; null when that is done already, or once more */
  receive({ id, name, arguments: given }: ToolCallFrame): ToolCall | null {
    const known = this.#calls.get(id);
    if (known !== undefined) {
      // Asked again after a dropped socket: the result may have been lost with it.
      if (known) this.#push(known);
      return null;
    }
    this.#calls.set(id, null);
    log.debug("call received", this.#about());
    const tool = this.#catalogue.get(name);
    if (tool) return { id, name: tool.name, arguments: argumentsOf(tool, given) };
    this.answer(id, [{ type: "text", text: `The tool ${name} is no longer offered.` }], true);
    return null;
  }

  /** Gives claude the result of a call. The first one counts. */
  answer(id: string, content: readonly ToolContent[], isError: boolean): void {
    if (this.#calls.get(id)) return;
    const result: ToolResultFrame = { type: "tool_result", id, content, is_error: isError };
    this.#calls.set(id, result);
    this.#push(result);
  }

  /** claude waits for no call that was made so far. */
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
