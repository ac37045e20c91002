/** Every entry through which JSON reaches the server. */
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { CLOSE } from "../../src/wire/frames.ts";
import { Breach, must, within } from "./check.ts";
import { MARKER, RESPONSE_TIMEOUT_MS, type Target } from "./target.ts";

export interface Entry {
  readonly name: string;
  /** The size that the server accepts at most, in bytes. */
  readonly maxBytes: number;
  /** Wraps a JSON value in a body for this entry. */
  wrap(value: Buffer): Buffer;
  /** Sends a body. @throws Breach when a client could not use the response */
  send(target: Target, body: Buffer): Promise<void>;
}

const MEGABYTE = 1024 * 1024;
const around = (before: string, after: string) => (value: Buffer) =>
  Buffer.concat([Buffer.from(before), value, Buffer.from(after)]);
const bare = (value: Buffer) => value;
const hooked = (name: string, field: string) =>
  around(
    `{"session_id":"s","transcript_path":"/nowhere","prompt_id":"p","hook_event_name":"${name}","tool_name":"Bash","${field}":`,
    "}",
  );

/** Checks that a response is an answer, or an error in OpenAI's shape, but never a 500. */
export async function checkAnswer(response: Response): Promise<string> {
  const text = await response.text();
  must(response.status !== 500, `answered with 500: ${text.slice(0, 200)}`);
  if (response.status < 400) return text;
  let message: unknown;
  try {
    message = JSON.parse(text).error.message;
  } catch {
    throw new Breach(`answered with ${response.status} and no error in OpenAI's shape: ${text.slice(0, 200)}`);
  }
  // A message may quote a path, but nothing longer.
  must(typeof message === "string" && message.length < 10_000, `a ${response.status} with a message of ${text.length}`);
  return text;
}

/** Posts a body. @throws Breach when the server closes the connection without a response, or never responds */
export async function post(url: string, headers: Record<string, string>, body: Buffer, method = "POST") {
  try {
    return await within(
      // Every request has a content type, so that all pass the same checks.
      fetch(url, { method, headers: { "content-type": "application/json", ...headers }, body }).then(checkAnswer),
      RESPONSE_TIMEOUT_MS,
      "an answer",
    );
  } catch (error) {
    if (error instanceof Breach) throw error;
    throw new Breach(`no answer: ${(error as Error).message}`);
  }
}

const chat =
  (encode: (body: Buffer) => Buffer = bare, headers: Record<string, string> = {}): Entry["send"] =>
  async (target, body) => {
    const { url, key } = target.server();
    await post(`${url}/v1/chat/completions`, { authorization: `Bearer ${key}`, ...headers }, encode(body));
  };

const control: Entry["send"] = async (target, body) => {
  const headers = { authorization: `Bearer ${target.controlKey}` };
  await post(`${target.server().url}/v1/permissions/none`, headers, body);
};

/** Posts a body as a hook of one conversation's claude. */
const hook: Entry["send"] = async (target, body) => {
  const { hook } = await target.secrets("hooked");
  const { url } = target.server();
  await post(`${url}/hooks`, { authorization: `Bearer ${hook}` }, body);
  // An external prompt keeps the conversation waiting until the prompt has ended.
  await post(`${url}/hooks`, { authorization: `Bearer ${hook}` }, STOP);
};
const STOP = hooked("Stop", "last_assistant_message")(Buffer.from(`"${MARKER}"`));

/** The allowed close codes of a plugin's socket: our own, and those of WebSocket for large or invalid data. */
const CLOSES: readonly number[] = [...Object.values(CLOSE), 1000, 1003, 1007, 1008, 1009];

/** Connects as the plugin of one conversation's claude. */
export async function connectPlugin(target: Target, user: string): Promise<WebSocket> {
  const { bridge } = await target.secrets(user);
  const socket = new WebSocket(`${target.server().url.replace("http", "ws")}/bridge`, {
    headers: { authorization: `Bearer ${bridge}` },
  });
  await within(
    new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onclose = ({ code }) => reject(new Breach(`a plugin's socket was closed with ${code} before its hello`));
    }),
    RESPONSE_TIMEOUT_MS,
    "a plugin connects",
  );
  socket.send(HELLO);
  return socket;
}

const HELLO = JSON.stringify({
  type: "hello",
  protocol: 1,
  pid: 1,
  openclaw_session: "x",
  claude_session: "x",
  plugin_version: "test",
});

/** Sends a ping after the earlier frames. Resolves with null for the pong, or with the close code. */
export function awaitPong(socket: WebSocket): Promise<number | null> {
  const { promise, resolve } = Promise.withResolvers<number | null>();
  socket.onmessage = ({ data }) => {
    if (String(data).includes('"pong"')) resolve(null);
  };
  socket.onclose = ({ code }) => resolve(code);
  if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"ping"}');
  else resolve(socket.readyState === WebSocket.CLOSED ? 1000 : null);
  return within(promise, RESPONSE_TIMEOUT_MS, "a frame is followed by a pong or a close");
}

const frame =
  (isFirst = false): Entry["send"] =>
  async (target, body) => {
    let socket: WebSocket;
    if (isFirst) {
      const { bridge } = await target.secrets("framed");
      socket = new WebSocket(`${target.server().url.replace("http", "ws")}/bridge`, {
        headers: { authorization: `Bearer ${bridge}` },
      });
      await within(new Promise((resolve) => (socket.onopen = resolve)), RESPONSE_TIMEOUT_MS, "a plugin connects");
    } else socket = await connectPlugin(target, "framed");
    socket.send(body);
    const code = await awaitPong(socket);
    socket.close();
    must(code === null || CLOSES.includes(code), `a plugin's socket was closed with ${code}`);
  };

const said = (more: string) =>
  `{"model":"opus","user":"bombs","messages":[{"role":"user","content":"${MARKER}"}]${more}`;

const MAX_CHAT_BYTES = 31 * MEGABYTE;
const MAX_FRAME_BYTES = MEGABYTE - 1024;

const encoded = (name: string, encode: (body: Buffer) => Buffer): Entry => ({
  name: `chat body in ${name}`,
  maxBytes: MAX_CHAT_BYTES,
  wrap: around(`${said(',"metadata":')}`, "}"),
  send: chat(encode, { "content-encoding": name }),
});

export const ENTRIES: readonly Entry[] = [
  { name: "chat body", maxBytes: MAX_CHAT_BYTES, wrap: bare, send: chat() },
  { name: "chat field", maxBytes: MAX_CHAT_BYTES, wrap: around(said(',"metadata":'), "}"), send: chat() },
  { name: "chat messages", maxBytes: MAX_CHAT_BYTES, wrap: around('{"user":"bombs","messages":', "}"), send: chat() },
  {
    name: "chat text",
    maxBytes: MAX_CHAT_BYTES,
    wrap: around('{"user":"bombs","messages":[{"role":"user","content":', "}]}"),
    send: chat(),
  },
  {
    name: "chat image",
    maxBytes: MAX_CHAT_BYTES,
    wrap: around(
      '{"user":"bombs","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":',
      "}}]}]}",
    ),
    send: chat(),
  },
  {
    name: "chat tool schema",
    maxBytes: MAX_CHAT_BYTES,
    wrap: around(
      said(',"tools":[{"type":"function","function":{"name":"t","parameters":{"type":"object","properties":{"a":'),
      "}}}}]}",
    ),
    send: chat(),
  },
  {
    name: "chat call arguments",
    maxBytes: MAX_CHAT_BYTES,
    wrap: (value) =>
      around(
        '{"user":"bombs","messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"t","arguments":',
        `}}]},{"role":"tool","tool_call_id":"c1","content":"${MARKER}"}]}`,
      )(Buffer.from(JSON.stringify(value.toString()))),
    send: chat(),
  },
  {
    name: "chat tool result",
    maxBytes: MAX_CHAT_BYTES,
    wrap: around(
      '{"user":"bombs","messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"t","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":',
      "}]}",
    ),
    send: chat(),
  },
  {
    name: "chat system prompt",
    maxBytes: MAX_CHAT_BYTES,
    wrap: around(
      '{"user":"bombs","messages":[{"role":"system","content":',
      `},{"role":"user","content":"${MARKER}"}]}`,
    ),
    send: chat(),
  },
  encoded("gzip", (body) => gzipSync(body, { level: 1 })),
  encoded("br", (body) => brotliCompressSync(body, { params: { 1: 1 } })),
  encoded("zstd", (body) => zstdCompressSync(body)),
  encoded("gzip, deflate", (body) => deflateSync(gzipSync(body, { level: 1 }), { level: 1 })),
  { name: "control body", maxBytes: MAX_CHAT_BYTES, wrap: bare, send: control },
  { name: "control field", maxBytes: MAX_CHAT_BYTES, wrap: around('{"behavior":"allow","rule":', "}"), send: control },
  { name: "hook body", maxBytes: MAX_CHAT_BYTES, wrap: bare, send: hook },
  { name: "hook prompt", maxBytes: MAX_CHAT_BYTES, wrap: hooked("UserPromptSubmit", "prompt"), send: hook },
  { name: "hook tool input", maxBytes: MAX_CHAT_BYTES, wrap: hooked("PreToolUse", "tool_input"), send: hook },
  { name: "hook tool response", maxBytes: MAX_CHAT_BYTES, wrap: hooked("PostToolUse", "tool_response"), send: hook },
  { name: "hook permission", maxBytes: MAX_CHAT_BYTES, wrap: hooked("PermissionRequest", "tool_input"), send: hook },
  { name: "hook text", maxBytes: MAX_CHAT_BYTES, wrap: hooked("Stop", "last_assistant_message"), send: hook },
  { name: "first frame", maxBytes: MAX_FRAME_BYTES, wrap: bare, send: frame(true) },
  { name: "frame", maxBytes: MAX_FRAME_BYTES, wrap: bare, send: frame() },
  {
    name: "frame of a call",
    maxBytes: MAX_FRAME_BYTES,
    wrap: around('{"type":"tool_call","id":"c1","name":"t","arguments":{"a":', "}}"),
    send: frame(),
  },
  {
    name: "frame of a reply",
    maxBytes: MAX_FRAME_BYTES,
    wrap: around('{"type":"reply","content":', "}"),
    send: frame(),
  },
];
