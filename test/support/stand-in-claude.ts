/**
 * A stand-in for claude in tests of speed and of faults. It takes claude's arguments, connects to the bridge like the
 * plugin, and answers each message with the hooks and transcript rows of a short turn. No behaviour is tested with it
 * alone: the end-to-end tests run the real claude.
 *
 * It echoes a message, unless the message is one of these commands:
 * - `lines <n>` answers with n lines.
 * - `draw <n>` writes n lines on its terminal.
 * - `call <n>` makes n calls of the client's tool at the same time, and answers with the results. `call <n> late` also
 *   reacts late to keys, and `call <n> unrecorded` writes the calls into the transcript after it has their results.
 * - `hang` works until Escape, `hang <n>` for at most n ms.
 * - `deaf` sends no receipt. `deaf once` sends one when the message comes for the second time.
 * - `exit` ends the process, `exit later` after the transcript has the message and before the receipt, `forget` after
 *   the receipt and without a transcript row.
 * - `stay` survives SIGTERM. `stay ended` also sends the SessionEnd hook.
 * - `grow <n>` takes n MB of memory.
 *
 * Like claude it redraws its screen when the terminal changes its size. With STAND_IN_ORDERS it gets its orders from
 * that address instead, and its plugin reconnects after its socket dropped.
 */
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CLOSE, readFrame, serverFrame, writeFrame } from "../../src/wire/frames.ts";
import { type Claude, obey } from "./stand-in-orders.ts";

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

const pluginFolder = option("plugin-dir") ?? "";
const debugFile = option("debug-file") ?? "";
const session = option("session-id") ?? option("resume") ?? "";
const hooks = JSON.parse(readFileSync(join(pluginFolder, "hooks/hooks.json"), "utf8"));
const hookUrl: string = hooks.hooks.Stop[0].hooks[0].url;
const hookHeaders: { Authorization: string } = hooks.hooks.Stop[0].hooks[0].headers;
const manifest = JSON.parse(readFileSync(join(pluginFolder, ".claude-plugin/plugin.json"), "utf8"));
const { SYNTHESIS_BRIDGE_URL, SYNTHESIS_BRIDGE_TOKEN } = manifest.mcpServers.chat.env;
const { SYNTHESIS_OPENCLAW_SESSION } = process.env;
const orders = process.env.STAND_IN_ORDERS;
// Like a shell command of claude, it has its own process group, so it does not end with the stand-in.
if (orders) Bun.spawn(["sleep", "1000"], { detached: true, stdio: ["ignore", "ignore", "ignore"] }).unref();
const configFolder = process.env.CLAUDE_CONFIG_DIR ?? join(process.env.HOME ?? "", ".claude");
const transcript = join(configFolder, "projects/stand-in", `${session}.jsonl`);
mkdirSync(dirname(transcript), { recursive: true });
const sessionFile = join(configFolder, "sessions", `${process.pid}.json`);
mkdirSync(dirname(sessionFile), { recursive: true });
const started = Date.now();
const status = (status: "busy" | "idle") =>
  writeFileSync(
    sessionFile,
    JSON.stringify({
      pid: process.pid,
      sessionId: session,
      startedAt: started,
      status,
      statusUpdatedAt: Date.now(),
    }),
  );
status("idle");
let pressed = Promise.withResolvers<void>();
/** How long the stand-in takes to react to a key. */
let keyMs = 0;
let drawn: string[] = [];
let stays: string | null = null;
const taken: Buffer[] = [];
// Lets a test connect to the bridge as this process.
if (process.env.STAND_IN_ENV) {
  const link = {
    SYNTHESIS_BRIDGE_URL,
    SYNTHESIS_BRIDGE_TOKEN,
    SYNTHESIS_HOOK_TOKEN: hookHeaders.Authorization.replace("Bearer ", ""),
  };
  appendFileSync(process.env.STAND_IN_ENV, `${JSON.stringify({ ...process.env, ...link })}\n`);
}

const hook = async (body: object) => {
  const sent = fetch(hookUrl, {
    method: "POST",
    headers: { "content-type": "application/json", ...hookHeaders },
    body: JSON.stringify({ session_id: session, transcript_path: transcript, ...body }),
  });
  // Claude ignores a hook that cannot be delivered.
  await sent.catch(() => {});
};
const row = (value: object) => appendFileSync(transcript, `${JSON.stringify(value)}\n`);

const interrupted = (text: string) => {
  row({ type: "user", message: { role: "user", content: [{ type: "text", text }] } });
  status("idle");
};

/** Sends the answer as in live mode: with hooks, at the same time. */
const byHooks = async (lines: string[], prompt_id: string, message_id: string) => {
  await Promise.all(
    lines.map((delta, index) =>
      hook({
        hook_event_name: "MessageDisplay",
        prompt_id,
        message_id,
        index,
        final: index === lines.length - 1,
        delta,
      }),
    ),
  );
};
/** Sends the answer as in tool mode: with reply frames. The final one must be acknowledged. */
const byFrames = async (lines: string[]) => {
  acknowledged = Promise.withResolvers();
  lines.forEach((content, index) => {
    const final = index === lines.length - 1;
    socket.send(writeFrame({ type: "reply", content, final, ...(final ? { id: crypto.randomUUID() } : {}) }));
  });
  await acknowledged.promise;
};
let acknowledged = Promise.withResolvers<void>();

/** The name of one of the client's tools. */
let offered: string | undefined;
const results = new Map<string, PromiseWithResolvers<string>>();

/** Makes calls as claude does: hooks, the transcript row, the calls, and a hook after each result. */
async function callTools(count: number, prompt_id: string, isRecordedLate: boolean): Promise<string> {
  const name = offered ?? "none";
  const tool_name = `mcp__plugin_synthesis_chat__${name}`;
  const ids = Array.from({ length: count }, () => `toolu_${crypto.randomUUID().replaceAll("-", "")}`);
  await Promise.all(
    ids.map((tool_use_id) => hook({ hook_event_name: "PreToolUse", prompt_id, tool_name, tool_use_id })),
  );
  const content = ids.map((id) => ({ type: "tool_use", id, name: tool_name }));
  const record = () =>
    row({
      type: "assistant",
      message: { id: `calls ${ids[0]}`, content, usage: { input_tokens: 1, output_tokens: 1 } },
    });
  if (!isRecordedLate) record();
  const all = ids.map((id, index) => {
    const result = Promise.withResolvers<string>();
    results.set(id, result);
    socket.send(writeFrame({ type: "tool_call", id, name, arguments: { index } }));
    return result.promise.then(async (text) => {
      await hook({ hook_event_name: "PostToolUse", prompt_id, tool_name, tool_use_id: id });
      return text;
    });
  });
  const given = (await Promise.all(all)).join("|");
  if (isRecordedLate) record();
  return given;
}

async function turn(content: string, messageId: string, again: boolean): Promise<void> {
  const command = content.replace(/^<context>.*<\/context>\n\n/s, "");
  if (command === "exit") process.exit(7);
  if (command === "deaf" || (command === "deaf once" && !again)) return;
  status("busy");
  pressed = Promise.withResolvers();
  const prompt_id = crypto.randomUUID();
  const prompt = `<channel source="plugin:synthesis:chat" message_id="${messageId}">\n${content}\n</channel>`;
  if (command !== "forget") row({ type: "user", promptId: prompt_id, message: { role: "user", content: prompt } });
  if (command === "exit later") process.exit(7);
  await hook({ hook_event_name: "UserPromptSubmit", prompt_id, prompt });
  if (command === "forget") process.exit(7);
  const hang = /^hang ?(\d*)/.exec(command);
  if (hang) {
    const limit = hang[1] ? [Bun.sleep(Number(hang[1])).then(() => "over")] : [];
    const outcome = await Promise.race([pressed.promise, ...limit]);
    if (outcome === undefined) return interrupted("[Request interrupted by user]");
  }
  stays = /^stay( ended)?$/.exec(command)?.[0] ?? null;
  const grow = Number(/^grow (\d+)/.exec(command)?.[1] ?? 0);
  // The system counts memory only after it has been written to.
  if (grow > 0) taken.push(Buffer.alloc(grow * 1024 * 1024, 1));
  const calls = Number(/^call (\d+)/.exec(command)?.[1] ?? 0);
  if (calls > 0) {
    keyMs = command.endsWith("late") ? 200 : 0;
    const outcome = await Promise.race([callTools(calls, prompt_id, command.endsWith("unrecorded")), pressed.promise]);
    if (outcome === undefined) return interrupted("[Request interrupted by user for tool use]");
    content = outcome;
  }
  const draw = Number(/^draw (\d+)/.exec(command)?.[1] ?? 0);
  drawn = Array.from({ length: draw }, (_, line) => `drawn ${line}${".".repeat(100)}\r\n`);
  for (const line of drawn) process.stdout.write(line);
  const count = Number(/^lines (\d+)/.exec(command)?.[1] ?? 0);
  const through = process.env.STAND_IN_REPLY === "frames" ? byFrames : byHooks;
  const lines = count ? Array.from({ length: count }, (_, i) => `${content} ${i}\n`) : [`You said: ${content}`];
  await through(lines, prompt_id, messageId);
  const text = lines.join("");
  const usage = { input_tokens: 3, output_tokens: lines.length, cache_read_input_tokens: 1 };
  row({ type: "assistant", message: { id: messageId, content: [{ type: "text", text }], usage } });
  row({ type: "system", subtype: "turn_duration" });
  status("idle");
  await hook({ hook_event_name: "Stop", prompt_id, last_assistant_message: text.trim() });
}

let socket: WebSocket;
/** The state of the plugin's socket: connected or reconnecting, closed for good, or open without reading. */
let plugin: "there" | "lost" | "stalled" = "there";
const RECONNECT_MS = 250;
/** Messages that claude has. One that arrives again after a dropped socket is ignored. */
const seen = new Set<string>();
/** Replies without an acknowledgement, by their ids. They are sent again after a reconnect. */
const unanswered = new Map<string, { text: string; answered: () => void }>();

function connect(): void {
  socket = new WebSocket(SYNTHESIS_BRIDGE_URL ?? "", {
    headers: { authorization: `Bearer ${SYNTHESIS_BRIDGE_TOKEN}` },
  });
  socket.onopen = () => {
    socket.send(
      writeFrame({
        type: "hello",
        protocol: 1,
        pid: process.pid,
        openclaw_session: SYNTHESIS_OPENCLAW_SESSION ?? "",
        claude_session: session,
        plugin_version: "stand-in",
      }),
    );
    appendFileSync(debugFile, "[DEBUG] Channel notifications registered\n");
  };
  socket.onmessage = ({ data }) => {
    if (plugin === "stalled") return;
    const read = readFrame(serverFrame, String(data));
    if ("problem" in read) throw new Error(read.problem);
    if (read.frame.type === "ping") socket.send(writeFrame({ type: "pong" }));
    if (read.frame.type === "reply_ack") {
      acknowledged.resolve();
      unanswered.get(read.frame.id)?.answered();
    }
    if (read.frame.type === "hello_ack") {
      offered = read.frame.tools[0]?.name;
      for (const { text } of unanswered.values()) socket.send(text);
    }
    if (read.frame.type === "tools") {
      offered = read.frame.tools.at(-1)?.name;
      socket.send(writeFrame({ type: "tools_listed", revision: read.frame.revision }));
    }
    if (read.frame.type === "tool_result") {
      const { id, content, is_error } = read.frame;
      const text = content.map((part) => (part.type === "text" ? part.text : "[image]")).join();
      results.get(id)?.resolve(`${is_error ? "✗" : ""}${text}`);
    }
    if (read.frame.type === "inbound") {
      const { content, meta, again } = read.frame;
      const id = meta.message_id;
      if (!orders) void turn(content, id, again === true);
      else if (!seen.has(id) || again) {
        seen.add(id);
        void obey(orders, claudeFor(id), content, id, again === true);
      }
    }
  };
  socket.onclose = ({ code }) => {
    // A test has connected as this process. Keep running, as claude does after its plugin has exited.
    if (code === CLOSE.REPLACED || plugin === "lost") return;
    if (!orders) process.exit(0);
    plugin = "there";
    setTimeout(connect, RECONNECT_MS);
  };
}
connect();

const claudeFor = (messageId: string): Claude => ({
  transcript,
  mode: process.env.STAND_IN_REPLY === "frames" ? "tool" : "live",
  hook,
  row,
  status,
  escape: () => {
    pressed = Promise.withResolvers();
    return pressed.promise;
  },
  reply: async (content, final) => {
    const id = crypto.randomUUID();
    const { promise, resolve } = Promise.withResolvers<void>();
    const text = writeFrame({ type: "reply", id, content, final });
    unanswered.set(id, { text, answered: resolve });
    if (socket.readyState === WebSocket.OPEN) socket.send(text);
    await promise;
    unanswered.delete(id);
  },
  forget: () => void seen.delete(messageId),
  socket: async (what) => {
    plugin = what === "drop" ? "there" : what === "lose" ? "lost" : "stalled";
    if (what === "drop") socket.terminate();
    if (what !== "lose") return;
    // Wait until the server has closed the socket, too: it must not send into a socket that is closing.
    const closed = Promise.withResolvers<void>();
    socket.addEventListener("close", () => closed.resolve());
    socket.close();
    await closed.promise;
  },
});

process.stdout.on("resize", () => {
  const head = `stand-in \x1b[31min red\x1b[0m, ${process.stdout.columns} columns\r\n`;
  process.stdout.write(`\x1b[2J\x1b[H${head}${drawn.slice(-30).join("")}`);
});
process.stdin.setRawMode(true);
process.stdin.on("data", (bytes) => {
  if (bytes.toString() === "\x1b") setTimeout(() => pressed.resolve(), keyMs);
});
const end = (code: number) => {
  rmSync(sessionFile, { force: true });
  process.exit(code);
};
process.on("SIGTERM", () => {
  if (stays === null) end(143);
  else if (stays === "stay ended") void hook({ hook_event_name: "SessionEnd" });
});
process.on("SIGHUP", () => end(129));
