/** Fuzzed inputs. Each depends only on the seed, its entry and its number, so that it can be generated again. */
import { type Check, must } from "./check.ts";
import { awaitPong, connectPlugin, post } from "./entries.ts";
import { broken, mutated } from "./hostile-values.ts";
import { runAttack } from "./pauses.ts";
import { type Random, random } from "./random.ts";
import { rawInput, sendRaw } from "./raw-http.ts";
import { MARKER, type Target } from "./target.ts";

/** The number of inputs for each entry. */
export interface Amounts {
  readonly chat: number;
  readonly hooks: number;
  readonly frames: number;
  readonly control: number;
  readonly raw: number;
}

/** How many inputs are sent at the same time. */
const CONCURRENCY = 32;
/** The most inputs of one check. With few of them, a failure is easy to locate. */
const INPUTS_PER_CHECK = 5_000;

type Send = (target: Target, from: number, to: number, input: (at: number) => Random) => Promise<void>;

export const fuzzChecks = (target: Target, seed: number, amounts: Amounts): Check[] => {
  const kinds: [string, number, Send][] = [
    ["chat", amounts.chat, chat],
    ["hooks", amounts.hooks, hooks],
    ["frames", amounts.frames, frames],
    ["control", amounts.control, control],
    ["raw HTTP", amounts.raw, raw],
  ];
  return kinds.flatMap(([name, count, send]) =>
    Array.from({ length: Math.ceil(count / INPUTS_PER_CHECK) }, (_, portion) => {
      const from = portion * INPUTS_PER_CHECK;
      const to = Math.min(count, from + INPUTS_PER_CHECK);
      return {
        name: `fuzz: ${name}, inputs ${from} to ${to - 1} of seed ${seed}`,
        run: () => runAttack(target, () => send(target, from, to, (at) => random(seed, name, at))),
      };
    }),
  );
};

/** Sends inputs in parallel. @throws the first breach, with the number of its input */
async function sideBySide(from: number, to: number, one: (at: number) => Promise<void>): Promise<void> {
  let next = from;
  const worker = async () => {
    while (next < to) {
      const at = next++;
      await one(at).catch((error) => {
        next = to;
        error.message = `input ${at}: ${error.message}`;
        throw error;
      });
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(CONCURRENCY, to - from) }, worker));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

const PNG =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const CALL = { id: "c1", type: "function", function: { name: "look", arguments: '{"at":"x"}' } };

const CHATS: readonly object[] = [
  { messages: [{ role: "user", content: MARKER }], stream: true, stream_options: { include_usage: true } },
  {
    model: "opus",
    reasoning_effort: "low",
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: MARKER },
          { type: "image_url", image_url: { url: PNG } },
        ],
      },
      { role: "assistant", content: MARKER },
      { role: "user", name: "ann", content: MARKER },
    ],
  },
  {
    messages: [
      { role: "user", content: MARKER },
      { role: "assistant", content: null, tool_calls: [CALL] },
      { role: "tool", tool_call_id: "c1", content: MARKER },
    ],
    tools: [{ type: "function", function: { name: "look", description: MARKER, parameters: { type: "object" } } }],
    tool_choice: { type: "function", function: { name: "look" } },
  },
  {
    messages: [
      {
        role: "user",
        content: [{ type: "file", file: { filename: "a.txt", file_data: "data:text/plain;base64,aGk=" } }],
      },
    ],
    functions: [{ name: "look", parameters: {} }],
    function_call: "auto",
    response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "object" } } },
  },
];

const HEADERS: readonly string[] = [
  "x-openclaw-session-key",
  "x-openclaw-agent-id",
  "x-openclaw-chat-id",
  "x-openclaw-workspace",
  "x-session-affinity",
  "session_id",
  "content-encoding",
  "content-type",
];
/** Header values that fetch accepts. The raw inputs have those that it refuses. */
const HEADER_VALUES = [
  "",
  "a",
  "agent:main:main",
  "../../..",
  "/etc",
  "/",
  "~root",
  "é",
  "%00",
  "gzip",
  "br, br, br",
  "x".repeat(6_000),
];

async function chat(target: Target, from: number, to: number, input: (at: number) => Random): Promise<void> {
  await sideBySide(from, to, async (at) => {
    const random = input(at);
    const template = { user: `fuzz${random.int(3)}`, ...random.pick(CHATS) };
    let body = mutated(template, random);
    // Most requests are refused after the schema check (`n: 2`), so that only a few of them run a turn.
    const runs = at % 100 === 0;
    if (!runs && typeof body === "object" && body !== null && !Array.isArray(body)) body = { ...body, n: 2 };
    const text = Buffer.from(JSON.stringify(body) ?? "");
    const headers: Record<string, string> = {};
    if (random.once(8)) headers[random.pick(HEADERS)] = random.pick(HEADER_VALUES);
    const { url, key } = target.server();
    await post(
      `${url}/v1/chat/completions`,
      { authorization: `Bearer ${key}`, ...headers },
      random.once(2) && !runs ? broken(text, random) : text,
    );
  });
}

const HOOKS: readonly object[] = [
  { hook_event_name: "UserPromptSubmit", prompt: `<channel source="plugin:synthesis:chat" message_id="m">${MARKER}` },
  { hook_event_name: "MessageDisplay", message_id: "m", index: 0, final: false, delta: MARKER },
  { hook_event_name: "PreToolUse", tool_name: "Bash", tool_use_id: "t", tool_input: { command: MARKER } },
  {
    hook_event_name: "PostToolUse",
    tool_name: "Write",
    tool_use_id: "t",
    duration_ms: 3,
    tool_response: { a: MARKER },
  },
  { hook_event_name: "PostToolUseFailure", tool_name: "Bash", tool_use_id: "t", agent_id: "a", error: MARKER },
  { hook_event_name: "PermissionRequest", tool_name: "Edit", tool_input: { file_path: "/x", old_string: MARKER } },
  { hook_event_name: "Stop", last_assistant_message: MARKER, background_tasks: [], session_crons: [] },
  { hook_event_name: "StopFailure", error: "rate_limit", last_assistant_message: MARKER },
  { hook_event_name: "SessionEnd" },
].map((hook) => ({ session_id: "s", transcript_path: "/nowhere.jsonl", cwd: "/", prompt_id: "p", ...hook }));

async function hooks(target: Target, from: number, to: number, input: (at: number) => Random): Promise<void> {
  const { hook } = await target.secrets("fuzzed-hooks");
  const { url } = target.server();
  await sideBySide(from, to, async (at) => {
    const random = input(at);
    const text = Buffer.from(JSON.stringify(mutated(random.pick(HOOKS), random)) ?? "");
    await post(`${url}/hooks`, { authorization: `Bearer ${hook}` }, random.once(3) ? broken(text, random) : text);
  });
}

const FRAMES: readonly object[] = [
  { type: "hello", protocol: 1, pid: 1, openclaw_session: "x", claude_session: "x", plugin_version: "x" },
  { type: "reply", id: "r", content: MARKER, final: false },
  { type: "tool_call", id: "c", name: "look", arguments: { at: MARKER } },
  { type: "tool_cancel", id: "c" },
  { type: "tools_listed", revision: 1 },
  { type: "ping" },
  { type: "pong" },
];

/** The number of frames between two pings. */
const FRAMES_PER_PING = 250;

async function frames(target: Target, from: number, to: number, input: (at: number) => Random): Promise<void> {
  let socket = await connectPlugin(target, "fuzzed-frames");
  for (let at = from; at < to; at += FRAMES_PER_PING) {
    for (let one = at; one < Math.min(to, at + FRAMES_PER_PING); one += 1) {
      const random = input(one);
      const text = Buffer.from(JSON.stringify(mutated(random.pick(FRAMES), random)) ?? "");
      const frame = random.once(3) ? broken(text, random) : text;
      socket.send(random.once(8) ? frame : frame.toString());
    }
    if ((await awaitPong(socket)) === null) continue;
    await target.ensureAlive();
    socket = await connectPlugin(target, "fuzzed-frames");
  }
  socket.close();
}

const KEYS = [
  "",
  "user:me",
  "user%3Ame",
  "%00",
  "%ff",
  "%",
  "..",
  "%2e%2e%2f",
  "%5c",
  "a%0d%0ab",
  "é",
  "x".repeat(3_000),
  "'--",
];
const ACTIONS = [
  "",
  "/interrupt",
  "/reset",
  "/screen",
  "/",
  "//",
  "/x",
  "?transcript=1",
  "?transcript=2",
  "?transcript[]=1",
  "#x",
];

async function control(target: Target, from: number, to: number, input: (at: number) => Random): Promise<void> {
  await sideBySide(from, to, async (at) => {
    const random = input(at);
    const room = random.pick(["sessions", "permissions", "models", "sessions/", "config", ""]);
    const path = `/v1/${room}/${random.pick(KEYS)}${random.pick(ACTIONS)}`;
    const method = random.pick(["POST", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"]);
    const text = Buffer.from(JSON.stringify(mutated({ behavior: "allow", rule: "Bash(ls *)" }, random)) ?? "");
    const body = random.once(3) ? broken(text, random) : text;
    const key = random.once(2) ? target.controlKey : target.server().key;
    await post(`${target.server().url}${path}`, { authorization: `Bearer ${key}` }, body, method);
  });
}

async function raw(target: Target, from: number, to: number, input: (at: number) => Random): Promise<void> {
  const port = Number(new URL(target.server().url).port);
  await sideBySide(from, to, async (at) => {
    const { pieces, isQuiet } = rawInput(input(at), port);
    const answer = await sendRaw(port, pieces, isQuiet);
    must(
      !/^HTTP\/1\.1 500/m.test(answer),
      `answered with 500: ${JSON.stringify(Buffer.concat(pieces).toString().slice(0, 300))}`,
    );
    // No raw input has a key.
    must(
      !answer.includes('"object":'),
      `let in without a key: ${JSON.stringify(Buffer.concat(pieces).toString().slice(0, 300))}`,
    );
  });
}
