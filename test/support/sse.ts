/** Chat requests as the tests send them, and streamed answers, read piece by piece so that a test can act in between. */
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

/** The text deltas of an answer as they arrive, without heartbeats and the role. Throws the error that ends a stream. */
export async function* texts(response: Response): AsyncGenerator<string> {
  for await (const event of events(response)) {
    if (event === "[DONE]") return;
    if ("error" in event) throw new Error(`${event.error.code}: ${event.error.message}`);
    const text = event.choices[0]?.delta.content;
    if (text) yield text;
  }
}

/** The whole text of a streamed answer. */
export const answerText = async (response: Response): Promise<string> =>
  (await Array.fromAsync(texts(response))).join("");

/**
 * Sends a message and reads the whole answer.
 * @returns the answer, and how the server found a process for it
 */
export async function say(server: TestServer, content: string, more: object = {}) {
  const response = await server.post(ask(content, more));
  return { answer: await answerText(response), origin: response.headers.get("x-synthesis-process") };
}

/** The next value. Throws when the stream has ended. */
export async function next<T>(iterator: AsyncGenerator<T>): Promise<T> {
  const result = await iterator.next();
  if (result.done) throw new Error("the stream ended too early");
  return result.value;
}

/**
 * Posts a request and resolves when the server has sent its message to claude.
 * @param session the session key of the request; the server's log must not have a message of it yet
 * @returns the response, which begins with the answer
 */
export async function postUntilSent(
  server: TestServer,
  body: object,
  session = "user:me",
  signal?: AbortSignal,
): Promise<{ readonly response: Promise<Response> }> {
  const response = server.post(body, {}, signal);
  // A test may abort the request before the response begins.
  response.catch(() => {});
  await server.logged(new RegExp(`message sent.*"${session}"`));
  return { response };
}

/** The body of a streamed chat request in the conversation `user:me`. */
export const ask = (content: string, more: object = {}) => ({
  model: "synthesis-claude-bridge",
  stream: true,
  user: "me",
  messages: [{ role: "user", content }],
  ...more,
});
