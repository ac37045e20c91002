/**
 * Keeps a log readable, and its disk free, when the same thing happens thousands of times: a plugin that sends bad
 * frames, hooks that do not fit, a client that fails in a loop.
 */
import type { LogRecord, Sink } from "@logtape/logtape";

/** So many alike are written in one window; the others are counted. */
const MOST_ALIKE = 20;
const WINDOW_MS = 60_000;

interface Kind {
  readonly first: LogRecord;
  count: number;
}

/**
 * Limits warnings and errors that are alike: the same message, before its values are filled in, about the same process.
 * At the end of a window one line says how many were left out.
 * @param windowMs how long a window is
 * @returns the sink, and what writes down now how many were left out
 */
export function limitRepeats(sink: Sink, windowMs = WINDOW_MS): { readonly sink: Sink; readonly flush: () => void } {
  const kinds = new Map<string, Kind>();
  let window: Timer | undefined;

  function flush(): void {
    clearTimeout(window);
    window = undefined;
    for (const { first, count } of kinds.values()) if (count > MOST_ALIKE) sink(leftOut(first, count - MOST_ALIKE));
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
      if (kind.count <= MOST_ALIKE) sink(record);
      if (window !== undefined) return;
      window = setTimeout(flush, windowMs);
      // A server that ends does not wait for it.
      window.unref();
    },
  };
}

function leftOut({ category, level, rawMessage, properties }: LogRecord, count: number): LogRecord {
  const text = typeof rawMessage === "string" ? rawMessage : rawMessage.join("");
  const { pid, session } = properties;
  return {
    category,
    level,
    timestamp: Date.now(),
    rawMessage: "{count} more lines were left out: {like}",
    message: ["", count, " more lines were left out: ", text, ""],
    properties: {
      count,
      like: text,
      ...(pid === undefined ? {} : { pid }),
      ...(session === undefined ? {} : { session }),
    },
  };
}
