/** One request as a client sees it: the text and errors it received, and how it ended. */
import { events } from "../support/sse.ts";

export interface Outcome {
  readonly text: string;
  /** How many finish reasons it received. */
  readonly finished: number;
  /** The codes of the errors it received. */
  readonly errors: readonly string[];
  /** The connection ended without `[DONE]` or an error. */
  readonly broken: boolean;
}

export interface SentRequest {
  /** Resolves when the server has accepted or refused the request. */
  readonly opened: Promise<void>;
  readonly outcome: Promise<Outcome>;
  disconnect(): void;
}

/** Sends a request and reads its response. @param post posts the request; the signal disconnects the client */
export function send(post: (signal: AbortSignal) => Promise<Response>): SentRequest {
  const disconnecting = new AbortController();
  const opened = Promise.withResolvers<void>();
  const read = async (): Promise<Outcome> => {
    let text = "";
    let finished = 0;
    let ends = 0;
    const errors: string[] = [];
    try {
      const response = await post(disconnecting.signal);
      opened.resolve();
      if (!/event-stream/.test(response.headers.get("content-type") ?? "")) {
        const body = (await response.json()) as {
          error?: { code: string };
          choices?: { message: { content: string } }[];
        };
        if (body.error) return { text, finished, errors: [body.error.code], broken: false };
        return { text: body.choices?.[0]?.message.content ?? "", finished: 1, errors, broken: false };
      }
      for await (const event of events(response)) {
        if (ends > 0) errors.push("data after [DONE]");
        if (event === "[DONE]") ends += 1;
        else if ("error" in event) errors.push(event.error.code);
        else {
          text += event.choices[0]?.delta.content ?? "";
          if (event.choices[0]?.finish_reason) finished += 1;
        }
      }
    } catch {
      // fetch reports a broken connection in several ways; each of them means `broken`.
    } finally {
      opened.resolve();
    }
    return { text, finished, errors, broken: ends === 0 };
  };
  return { opened: opened.promise, outcome: read(), disconnect: () => disconnecting.abort() };
}
