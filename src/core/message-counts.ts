/** How many messages Claude Code and the server have exchanged, by their kind. Each piece of text is one, so a count costs little. */

/**
 * - `hook`: a hook of Claude Code
 * - `frame_in`, `frame_out`: a frame from a plugin, and one to a plugin
 * - `stream_line`: a line of stream-json from Claude Code
 * - `forwarded`: a request that was sent on to another node, by its outcome
 */
export type MessageChannel = "hook" | "frame_in" | "frame_out" | "stream_line" | "forwarded";

export class MessageCounts {
  readonly #counts: Record<MessageChannel, Map<string, number>> = {
    hook: new Map(),
    frame_in: new Map(),
    frame_out: new Map(),
    stream_line: new Map(),
    forwarded: new Map(),
  };

  /** Counts one message. @param type one of the types that the schema of the channel knows */
  note(channel: MessageChannel, type: string): void {
    const counts = this.#counts[channel];
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }

  /** The counts of a channel by type. */
  of(channel: MessageChannel): ReadonlyMap<string, number> {
    return this.#counts[channel];
  }
}
