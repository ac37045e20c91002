/**
 * A mock of the Anthropic Messages API, as far as the real claude uses it (`HEAD /api/hello`, `POST /v1/messages`,
 * `POST /v1/messages/count_tokens`).
 *
 * A script is an async generator with the steps of the model's answer, so a test can `await` anything before the next
 * step is sent. Every request is recorded, with a promise that resolves when its response has ended.
 */

export type Step =
  | { type: "text"; text: string }
  | { type: "thinking"; thinking: string }
  | { type: "tool_use"; name: string; input: Record<string, unknown> }
  /** The usage of the answer. It is the first step of a script. */
  | { type: "usage"; usage: Partial<ModelUsage> }
  /** The stop reason, if it is neither `end_turn` nor `tool_use`. */
  | { type: "stop"; reason: string }
  | { type: "error"; status: number; error: string; message: string; headers?: Record<string, string> };

export interface ModelUsage {
  readonly input_tokens: number;
  readonly cache_read_input_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly output_tokens: number;
}

export const text = (value: string): Step => ({ type: "text", text: value });
export const thinking = (value: string): Step => ({ type: "thinking", thinking: value });
export const toolUse = (name: string, input: Record<string, unknown>): Step => ({ type: "tool_use", name, input });
export const usage = (figures: Partial<ModelUsage>): Step => ({ type: "usage", usage: figures });
export const stop = (reason: string): Step => ({ type: "stop", reason });
export const apiError = (status: number, error: string, message: string, headers?: Record<string, string>): Step => ({
  type: "error",
  status,
  error,
  message,
  ...(headers ? { headers } : {}),
});

interface Block {
  type: string;
  text?: string;
  content?: unknown;
  is_error?: boolean;
}
interface Message {
  role: string;
  content: string | Block[];
}
interface MessagesBody {
  model: string;
  system?: string | Block[];
  messages: Message[];
  tools?: { name: string }[];
  output_config?: { effort?: string };
  stream?: boolean;
}

export interface ModelRequest {
  readonly body: MessagesBody;
  /** The text of the newest channel message, or of the newest user message when there is none. */
  readonly asked: string;
  /** The tool results in the newest message; empty in the first model request of a turn. */
  readonly toolResults: readonly { content: string; isError: boolean }[];
  /** The text of the system prompt and of all messages. */
  readonly shown: string;
  /** Resolves when the response is complete, or when claude has closed the connection. */
  readonly closed: Promise<"complete" | "aborted">;
  /** The usage that was sent so far; null before an answer, and after an error instead of one. */
  sent: ModelUsage | null;
  /** How the response ended: `broken` is a stream that ended with an error. Null while it is sent. */
  end: "complete" | "aborted" | "broken" | null;
}

type Script = (request: ModelRequest) => AsyncIterable<Step> | Iterable<Step>;

export interface MockAnthropic {
  readonly url: string;
  readonly requests: readonly ModelRequest[];
  /** Answers with this script when `asked` of a request matches. The newest matching rule counts. */
  on(match: RegExp, script: Script): void;
  /** Sends these headers with every answer from now on, errors included. @param headers for example `planHeaders(…)` */
  sendHeaders(headers: Record<string, string>): void;
  /** The first request with a matching `asked`, already recorded or still to come. */
  request(match: RegExp): Promise<ModelRequest>;
  stop(): Promise<void>;
}

/** A window of the plan, as Anthropic reports it. */
interface PlanWindow {
  /** The part that is used; 1 is all of it. */
  readonly used: number;
  /** When the window ends, Unix time in seconds. */
  readonly resetsAt: number;
}

/**
 * The headers with which Anthropic reports a plan's limits.
 * @param windows by their names in the headers: `5h`, `7d`, `7d_oi` or `overage`
 * @param status of the whole account
 * @param claim the window that the status is about, as in `five_hour`
 */
export function planHeaders(
  windows: Readonly<Record<string, PlanWindow>>,
  status: "allowed" | "allowed_warning" | "rejected" = "allowed",
  claim = "five_hour",
): Record<string, string> {
  const prefix = "anthropic-ratelimit-unified";
  const [first] = Object.values(windows);
  return {
    [`${prefix}-status`]: status,
    [`${prefix}-representative-claim`]: claim,
    ...(first ? { [`${prefix}-reset`]: `${first.resetsAt}` } : {}),
    ...Object.fromEntries(
      Object.entries(windows).flatMap(([name, { used, resetsAt }]) => [
        [`${prefix}-${name}-utilization`, `${used}`],
        [`${prefix}-${name}-reset`, `${resetsAt}`],
        [`${prefix}-${name}-status`, used >= 1 ? "rejected" : "allowed"],
      ]),
    ),
  };
}

/**
 * Anthropic's answer when a window of the plan is used up. Claude reads it so only with a login of claude.ai.
 * @param claim as in `planHeaders`
 * @param resetsAt Unix time in seconds
 * @param more headers
 */
export const limitReached = (claim: string, resetsAt: number, more: Record<string, string> = {}): Step =>
  apiError(429, "rate_limit_error", "This request would exceed your account's rate limit.", {
    "retry-after": `${Math.max(resetsAt - Math.floor(Date.now() / 1000), 0)}`,
    ...planHeaders({ "5h": { used: 1, resetsAt } }, "rejected", claim),
    ...more,
  });

/** The input usage of an answer if its script has no usage. The output tokens are the number of its steps. */
export const INPUT_USAGE = { input_tokens: 100, cache_read_input_tokens: 40, cache_creation_input_tokens: 2 };

/** The answer when no rule matches. */
const echo: Script = function* (request) {
  const content = /<channel [^>]*>\n([\s\S]*?)\n<\/channel>/.exec(request.asked)?.[1] ?? request.asked;
  yield text(`You said: ${content}`);
};

/** Starts the mock on 127.0.0.1 at `port` (0: any free one). */
export function startMockAnthropic(port = 0): MockAnthropic {
  const rules: { match: RegExp; script: Script }[] = [];
  const requests: ModelRequest[] = [];
  let answerHeaders: Record<string, string> = {};
  const waiting: { match: RegExp; resolve: (request: ModelRequest) => void }[] = [];

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/v1/messages/count_tokens") return Response.json({ input_tokens: 1 });
      if (pathname !== "/v1/messages") return new Response(null, { status: 200 });
      const body = (await request.json()) as MessagesBody;
      const end = Promise.withResolvers<"complete" | "aborted">();
      const recorded: ModelRequest = {
        body,
        asked: newestUserText(body),
        toolResults: newestToolResults(body),
        shown: [blocksText(body.system ?? ""), ...body.messages.map((m) => blocksText(m.content))].join("\n"),
        closed: end.promise,
        sent: null,
        end: null,
      };
      requests.push(recorded);
      void end.promise.then((how) => {
        recorded.end ??= how;
      });
      for (const waiter of waiting.filter((w) => w.match.test(recorded.asked))) {
        waiting.splice(waiting.indexOf(waiter), 1);
        waiter.resolve(recorded);
      }
      const script = rules.findLast((rule) => rule.match.test(recorded.asked))?.script ?? echo;
      request.signal.addEventListener("abort", () => end.resolve("aborted"));
      const response = await respond(recorded, script(recorded), request.signal, end.resolve);
      for (const [name, value] of Object.entries(answerHeaders)) response.headers.set(name, value);
      return response;
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    on: (match, script) => {
      rules.push({ match, script });
    },
    sendHeaders: (headers) => {
      answerHeaders = headers;
    },
    request: (match) => {
      const known = requests.find((request) => match.test(request.asked));
      if (known) return Promise.resolve(known);
      const { promise, resolve } = Promise.withResolvers<ModelRequest>();
      waiting.push({ match, resolve });
      return promise;
    },
    stop: () => server.stop(true),
  };
}

async function respond(
  request: ModelRequest,
  steps: AsyncIterable<Step> | Iterable<Step>,
  signal: AbortSignal,
  end: (how: "complete" | "aborted") => void,
): Promise<Response> {
  const iterator = Symbol.asyncIterator in steps ? steps[Symbol.asyncIterator]() : steps[Symbol.iterator]();
  let step = await iterator.next();
  if (!step.done && step.value.type === "error") {
    const { status, error, message, headers } = step.value;
    end("complete");
    return Response.json({ type: "error", error: { type: error, message } }, { status, headers: headers ?? {} });
  }
  let figures: Partial<ModelUsage> = {};
  if (!step.done && step.value.type === "usage") {
    figures = step.value.usage;
    step = await iterator.next();
  }
  if (request.body.stream !== true) return wholeMessage(request, step, iterator, figures, end);
  const stream = new ReadableStream({
    async start(controller) {
      const encoder = new TextEncoder();
      const send = (data: { type: string }) => {
        if (signal.aborted) return;
        controller.enqueue(encoder.encode(`event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`));
      };
      let index = -1;
      let open: string | null = null;
      let outputTokens = 0;
      let stopReason = "end_turn";
      const openBlock = (type: string, block: object) => {
        closeBlock();
        index += 1;
        open = type;
        send({ type: "content_block_start", index, content_block: { type, ...block } } as { type: string });
      };
      const closeBlock = () => {
        if (open === "thinking") delta({ type: "signature_delta", signature: "c2lnbmVk" });
        if (open !== null) send({ type: "content_block_stop", index } as { type: string });
        open = null;
      };
      const delta = (value: object) => send({ type: "content_block_delta", index, delta: value } as { type: string });

      request.sent = { ...INPUT_USAGE, ...figures, output_tokens: 1 };
      send({
        type: "message_start",
        message: {
          id: `msg_${crypto.randomUUID().replaceAll("-", "")}`,
          type: "message",
          role: "assistant",
          model: request.body.model,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: request.sent,
        },
      } as { type: string });
      for (; !step.done && !signal.aborted; step = await iterator.next()) {
        const value = step.value;
        outputTokens += 1;
        if (value.type === "text") {
          if (open !== "text") openBlock("text", { text: "" });
          delta({ type: "text_delta", text: value.text });
        } else if (value.type === "thinking") {
          if (open !== "thinking") openBlock("thinking", { thinking: "", signature: "" });
          delta({ type: "thinking_delta", thinking: value.thinking });
        } else if (value.type === "tool_use") {
          const id = `toolu_${crypto.randomUUID().replaceAll("-", "")}`;
          openBlock("tool_use", { id, name: value.name, input: {} });
          delta({ type: "input_json_delta", partial_json: JSON.stringify(value.input) });
          closeBlock();
          stopReason = "tool_use";
        } else if (value.type === "stop") {
          stopReason = value.reason;
        } else if (value.type === "error") {
          send({ type: "error", error: { type: value.error, message: value.message } } as { type: string });
          request.end = "broken";
          break;
        }
      }
      closeBlock();
      const output_tokens = figures.output_tokens ?? outputTokens;
      if (!signal.aborted) request.sent = { ...request.sent, output_tokens };
      send({
        type: "message_delta",
        delta: { stop_reason: stopReason, stop_sequence: null },
        usage: { output_tokens },
      } as { type: string });
      send({ type: "message_stop" });
      end(signal.aborted ? "aborted" : "complete");
      if (!signal.aborted) controller.close();
    },
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream", "request-id": "req_mock" } });
}

/** The unstreamed response, which claude requests after a stream has broken off. */
async function wholeMessage(
  request: ModelRequest,
  first: IteratorResult<Step>,
  iterator: AsyncIterator<Step> | Iterator<Step>,
  figures: Partial<ModelUsage>,
  end: (how: "complete") => void,
): Promise<Response> {
  const content: object[] = [];
  let outputTokens = 0;
  let stopReason = "end_turn";
  for (let step = first; !step.done; step = await iterator.next()) {
    const value = step.value;
    outputTokens += 1;
    if (value.type === "text") content.push({ type: "text", text: value.text });
    else if (value.type === "thinking") content.push({ type: "thinking", thinking: value.thinking, signature: "c2ln" });
    else if (value.type === "tool_use") {
      content.push({ type: "tool_use", id: `toolu_${crypto.randomUUID()}`, name: value.name, input: value.input });
    } else if (value.type === "stop") stopReason = value.reason;
    else if (value.type === "error") {
      end("complete");
      const { status, error, message, headers } = value;
      return Response.json({ type: "error", error: { type: error, message } }, { status, headers: headers ?? {} });
    }
  }
  request.sent = { ...INPUT_USAGE, output_tokens: outputTokens, ...figures };
  end("complete");
  return Response.json({
    id: `msg_${crypto.randomUUID().replaceAll("-", "")}`,
    type: "message",
    role: "assistant",
    model: request.body.model,
    content,
    stop_reason: stopReason,
    stop_sequence: null,
    usage: request.sent,
  });
}

function blocksText(content: string | Block[]): string {
  if (typeof content === "string") return content;
  return content
    .map((block) => block.text ?? (block.content === undefined ? "" : blocksText(block.content as string | Block[])))
    .join("\n");
}

const isPrompt = (block: Block): boolean => block.type === "text" && /^<channel /.test(block.text ?? "");
const blocksOf = ({ content }: Message): Block[] =>
  typeof content === "string" ? [{ type: "text", text: content }] : content;

/** The newest channel message. After an interruption claude puts it into one message with older blocks. */
function newestUserText(body: MessagesBody): string {
  const texts = body.messages.filter(({ role }) => role === "user").flatMap(blocksOf);
  return (texts.findLast(isPrompt) ?? texts.findLast(({ type }) => type === "text"))?.text ?? "";
}

function newestToolResults(body: MessagesBody): { content: string; isError: boolean }[] {
  // Claude appends reminders to the results, as messages of the role "system".
  const message = body.messages.findLast((m) => m.role !== "system");
  const blocks = message ? blocksOf(message) : [];
  if (blocks.some(isPrompt)) return [];
  return blocks
    .filter((block) => block.type === "tool_result")
    .map((block) => ({
      content: blocksText((block.content ?? "") as string | Block[]),
      isError: block.is_error === true,
    }));
}
