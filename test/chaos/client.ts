/** One request as a client sees it: everything that came, and how it ended. */
import { events } from "../support/sse.ts";

export interface Outcome {
  readonly text: string;
  /** How often it was told that the answer is complete. */
  readonly finished: number;
  /** The codes of the errors it was told. */
  readonly errors: readonly string[];
  /** The connection ended without a last word. */
  readonly broken: boolean;
}

export interface Sent {
  /** The server has taken it, or refused it. */
  readonly opened: Promise<void>;
  readonly over: Promise<Outcome>;
  leave(): void;
}

/** @param post posts the request, which can be called off with the signal */
export function send(post: (signal: AbortSignal) => Promise<Response>): Sent {
  const leaving = new AbortController();
  const opened = Promise.withResolvers<void>();
  const read = async (): Promise<Outcome> => {
    let text = "";
    let finished = 0;
    let ends = 0;
    const errors: string[] = [];
    try {
      const response = await post(leaving.signal);
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
        if (ends > 0) errors.push("something came behind the end");
        if (event === "[DONE]") ends += 1;
        else if ("error" in event) errors.push(event.error.code);
        else {
          text += event.choices[0]?.delta.content ?? "";
          if (event.choices[0]?.finish_reason) finished += 1;
        }
      }
    } catch {
      // Whatever fetch calls it: the connection is gone.
    } finally {
      opened.resolve();
    }
    return { text, finished, errors, broken: ends === 0 };
  };
  return { opened: opened.promise, over: read(), leave: () => leaving.abort() };
}
