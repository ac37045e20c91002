/**
 * Reads a byte stream line by line.
 * @param onLine is called with each line. If it returns a promise, the next line waits for that
 */
export async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => unknown): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const [first = "", ...lines] = decoder.decode(bytes, { stream: true }).split("\n");
    // Only the new bytes are split: a line may be megabytes long, and splitting it again would take quadratic time.
    rest += first;
    for (const next of lines) {
      const pause = rest === "" ? undefined : onLine(rest);
      rest = next;
      if (pause instanceof Promise) await pause;
    }
  }
  if (rest !== "") await onLine(rest);
}
