/** Reads an SSE answer piece by piece, so that a test can act between two of them. */
import type OpenAI from "openai";
import type { TestServer } from "./server.ts";

type Chunk = OpenAI.ChatCompletionChunk;
type Data = Chunk | { error: { message: string; type: string; code: string; param: string | null } } | "[DONE]";

/** The `data:` lines of a response as they arrive, parsed. */
export async function* events(response: Response): AsyncGenerator<Data> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body as ReadableStream<Uint8Array>) {
    rest += decoder.decode(bytes, { stream: true });
    const parts = rest.split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const data = part.replace(/^data: /, "");
      yield data === "[DONE]" ? data : (JSON.parse(data) as Chunk);
    }
  }
}

/** The texts of an answer as they arrive, heartbeats and the role left out. */
export async function* texts(response: Response): AsyncGenerator<string> {
  for await (const event of events(response)) {
    if (event === "[DONE]") return;
    if ("error" in event) throw new Error(`${event.error.code}: ${event.error.message}`);
    const text = event.choices[0]?.delta.content;
    if (text) yield text;
  }
}

/** The next value; fails the test when there is none. */
export async function next<T>(iterator: AsyncGenerator<T>): Promise<T> {
  const result = await iterator.next();
  if (result.done) throw new Error("the stream ended too early");
  return result.value;
}

/**
 * Posts a request and resolves when claude was sent its message; the response begins with the answer.
 * @param session a key of which this is the first message in the server's log
 */
export async function begin(
  server: TestServer,
  body: object,
  session = "user:me",
  signal?: AbortSignal,
): Promise<{ readonly response: Promise<Response> }> {
  const response = server.post(body, {}, signal);
  // Its client may leave before it has begun.
  response.catch(() => {});
  await server.logged(new RegExp(`message sent.*"${session}"`));
  return { response };
}

/** A question as most tests ask it, in a conversation. */
export const ask = (content: string, more: object = {}) => ({
  model: "synthesis-claude-bridge",
  stream: true,
  user: "me",
  messages: [{ role: "user", content }],
  ...more,
});
