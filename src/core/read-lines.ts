/** Reads a byte stream line by line. */
export async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const [first = "", ...lines] = decoder.decode(bytes, { stream: true }).split("\n");
    // Only the new bytes are split: a line may be megabytes long, and splitting it again would take quadratic time.
    rest += first;
    for (const next of lines) {
      if (rest !== "") onLine(rest);
      rest = next;
    }
  }
  if (rest !== "") onLine(rest);
}
