/** Server-sent events over `fetch`: unlike `EventSource` it can send the page's token. */
import { EventSourceParserStream } from "eventsource-parser/stream";
import { send } from "./access.ts";

export interface ServerEvent {
  /** Absent when the server names none. */
  readonly event?: string | undefined;
  readonly data: string;
}

/**
 * Calls `onEvent` for each event of an address, until the stream ends or `signal` is aborted.
 * @throws as `send` does, and when the connection breaks off
 */
export async function readEvents(
  path: string,
  onEvent: (event: ServerEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const { body } = await send(path, { signal, headers: { accept: "text/event-stream" } });
  if (!body) return;
  const reader = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onEvent(value);
  }
}
