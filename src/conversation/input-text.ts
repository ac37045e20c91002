/** The new messages of a request as one text for Claude. */
import { labelledResult, quoteMarkup, quoteNames, withSpeaker } from "../core/quoting.ts";
import type { NewMessage } from "../intake/new-message.ts";

/**
 * Messages and results as one text, with a blank line between two.
 * @param messages without the results that go to calls that still run
 */
export function inputText(messages: readonly NewMessage[]): string {
  const speakers = new Set(messages.flatMap((message) => (message.role === "user" ? (message.speaker ?? []) : [])));
  return messages
    .map((message) =>
      message.role === "user"
        ? quoteMarkup(withSpeaker(message.speaker, quoteNames(message.text, speakers)))
        : labelledResult("% returned", message.name ?? "a tool", message.text),
    )
    .filter((text) => text.trim() !== "")
    .join("\n\n");
}
