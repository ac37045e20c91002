/** What `synthesis attach` shows of a process that has no terminal: its events as readable text. */
import { visibleText } from "../../core/visible-text.ts";
import type { ClaudeEvent, Viewer } from "../agent-process.ts";

/** How much of the past a new viewer sees, in characters. */
const MAX_PAST = 32_000;
const DIM = "\x1b[2m";
const PLAIN = "\x1b[0m";

export class EventView {
  readonly #viewers = new Set<Viewer>();
  /** The past in pieces. It is put together only for a new viewer, because few conversations have one. */
  #past: string[] = [];
  #pastLength = 0;
  #isAtLineStart = true;

  /** Shows the past and everything that follows. @returns removes the viewer; how many others are left */
  add(viewer: Viewer): () => number {
    this.#viewers.add(viewer);
    viewer.draw(Buffer.from(this.#keepNewest()));
    return () => {
      this.#viewers.delete(viewer);
      return this.#viewers.size;
    };
  }

  /** A message of the user's. */
  showMessage(text: string): void {
    this.#line(`> ${text}`, PLAIN);
  }

  showEvent(event: ClaudeEvent): void {
    if (event.type === "call") this.#line(`calls the client's tool ${event.call.name}`, DIM);
    else if (event.type === "exit") this.#line("claude exited", DIM);
    if (event.type !== "hook") return;
    const { hook } = event;
    switch (hook.hook_event_name) {
      case "MessageDisplay":
        this.#write(visibleText(hook.delta));
        break;
      case "PreToolUse":
        this.#line(`uses ${hook.tool_name}`, DIM);
        break;
      case "PostToolUseFailure":
        this.#line(`${hook.tool_name} failed`, DIM);
        break;
      case "Stop":
      case "StopFailure":
        this.#line(hook.hook_event_name === "Stop" ? "done" : `failed: ${hook.error}`, DIM);
        break;
    }
  }

  end(): void {
    for (const viewer of this.#viewers) viewer.end();
    this.#viewers.clear();
  }

  #line(text: string, style: string): void {
    this.#write(`${this.#isAtLineStart ? "" : "\n"}${style}${visibleText(text)}${PLAIN}\n`);
  }

  #write(text: string): void {
    if (text === "") return;
    this.#isAtLineStart = text.endsWith("\n");
    const drawn = text.replaceAll("\n", "\r\n");
    this.#past.push(drawn);
    this.#pastLength += drawn.length;
    if (this.#pastLength > 2 * MAX_PAST) this.#keepNewest();
    if (this.#viewers.size === 0) return;
    const bytes = Buffer.from(drawn);
    for (const viewer of this.#viewers) viewer.draw(bytes);
  }

  #keepNewest(): string {
    const past = this.#past.join("").slice(-MAX_PAST);
    this.#past = [past];
    this.#pastLength = past.length;
    return past;
  }
}
