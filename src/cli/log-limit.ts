/**
 * Limits repeated messages, so that a plugin that sends invalid frames, or a client that fails in a loop, does not fill
 * the log.
 */
import type { LogRecord, Sink } from "@logtape/logtape";

/** How many messages of one kind are written in a window. Further ones are counted. */
const MAX_PER_WINDOW = 20;
const WINDOW_MS = 60_000;

interface Kind {
  readonly first: LogRecord;
  count: number;
}

/**
 * Limits warnings and errors of one kind: with the same message template and the same process id. At the end of a window
 * one line says how many were suppressed.
 * @returns the limited sink, and a function that ends the window at once
 */
export function limitRepeats(sink: Sink, windowMs = WINDOW_MS): { readonly sink: Sink; readonly flush: () => void } {
  const kinds = new Map<string, Kind>();
  let window: Timer | undefined;

  function flush(): void {
    clearTimeout(window);
    window = undefined;
    for (const { first, count } of kinds.values())
      if (count > MAX_PER_WINDOW) sink(suppressed(first, count - MAX_PER_WINDOW));
    kinds.clear();
  }

  return {
    flush,
    sink: (record) => {
      if (record.level !== "warning" && record.level !== "error") return sink(record);
      const message = typeof record.rawMessage === "string" ? record.rawMessage : record.rawMessage.join();
      const key = `${record.category.join()} ${message} ${record.properties.pid ?? ""}`;
      const kind = kinds.get(key) ?? { first: record, count: 0 };
      kinds.set(key, kind);
      kind.count += 1;
      if (kind.count <= MAX_PER_WINDOW) sink(record);
      if (window !== undefined) return;
      window = setTimeout(flush, windowMs);
      // The timer must not keep a server running that has stopped.
      window.unref();
    },
  };
}

function suppressed({ category, level, rawMessage, properties }: LogRecord, count: number): LogRecord {
  const text = typeof rawMessage === "string" ? rawMessage : rawMessage.join("");
  const { pid, session } = properties;
  return {
    category,
    level,
    timestamp: Date.now(),
    rawMessage: "{count} more messages were suppressed: {like}",
    message: ["", count, " more messages were suppressed: ", text, ""],
    properties: {
      count,
      like: text,
      ...(pid === undefined ? {} : { pid }),
      ...(session === undefined ? {} : { session }),
    },
  };
}
