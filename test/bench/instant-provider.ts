/**
 * A model provider for OpenClaw that answers at once, with no Claude behind it. What a turn takes through it is what
 * OpenClaw itself takes on its way to any provider.
 */

export interface InstantProvider extends Disposable {
  readonly url: string;
}

/**
 * @param deltas the texts of every answer
 * @param onRequest called when a request has arrived whole
 */
export function startInstantProvider(deltas: readonly string[], onRequest: () => void): InstantProvider {
  const event = (fields: object) => {
    const chunk = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "instant", ...fields };
    return `data: ${JSON.stringify(chunk)}\n\n`;
  };
  const choice = (delta: object, finish_reason: string | null = null) =>
    event({ choices: [{ index: 0, delta, finish_reason }] });
  const answer = [
    choice({ role: "assistant", content: "" }),
    ...deltas.map((content) => choice({ content })),
    choice({}, "stop"),
    event({ choices: [], usage: { prompt_tokens: 1, completion_tokens: deltas.length, total_tokens: 2 } }),
    "data: [DONE]\n\n",
  ].join("");
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      await request.bytes();
      onRequest();
      return new Response(answer, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    [Symbol.dispose]: () => void server.stop(true),
  };
}
