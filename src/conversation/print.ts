/** By what a message is known again when the client sends it once more. */
import type { Image } from "../openai/images.ts";
import { splitStamp } from "../openclaw/stamp.ts";

/**
 * The same for the same words and images. The time of writing is not in it: a message that is told again
 * may bear another.
 */
export function printOf(text: string, images: readonly Image[] = []): string {
  const print = images.reduce(
    (seed, { url }) => Bun.hash.wyhash(url, seed),
    Bun.hash.wyhash(splitStamp(text)[1].trim()),
  );
  return print.toString(16).padStart(16, "0");
}
