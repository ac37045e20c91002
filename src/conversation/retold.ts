/** A turn that brought no answer is told again, often in other words: what of it claude has not heard. */
import { quotations } from "../openclaw/retry.ts";
import type { NewMessage } from "./input.ts";
import { printOf } from "./print.ts";

/**
 * The new messages without the words that claude has been told already. When nothing else is left,
 * OpenClaw's own request to go on is; it is left out otherwise.
 * @param wasTold whether a user's message with this print was told to claude in a turn without an answer
 * @returns nothing when claude has heard it all
 */
export function untold(messages: readonly NewMessage[], wasTold: (print: string) => boolean): readonly NewMessage[] {
  const rest = messages.flatMap((message): NewMessage[] => {
    if (message.role === "tool") return [message];
    if (message.kind === "continue" || wasTold(message.print)) return [];
    if (message.kind === "own") return [message];
    const text = untoldWords(message.text, wasTold);
    return text === "" ? [] : [{ ...message, text, print: printOf(text, message.images) }];
  });
  return rest.length > 0 ? rest : messages.filter((message) => message.role === "user" && message.kind === "continue");
}

function untoldWords(text: string, wasTold: (print: string) => boolean): string {
  if (wasTold(printOf(text))) return "";
  const split = quotations(text).find(({ earlier }) => wasTold(printOf(earlier)));
  return split ? untoldWords(split.now, wasTold) : text;
}
