/** A stand-in in a terminal: it connects to the bridge like the plugin, posts hooks, and reads keys. */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CLOSE, readFrame, type ServerFrame, serverFrame, writeFrame } from "../../src/wire/frames.ts";
import type { Link, Message, Self } from "./stand-in-link.ts";

const RECONNECT_MS = 250;

export interface Terminal extends Link {
  tool: string | undefined;
  /** The text that is drawn again when the terminal changes its size. */
  drawn: string[];
}

/**
 * Connects a stand-in.
 * @param files the plugin's folder, and the debug log
 * @param reconnects whether the plugin connects again after its socket has dropped, as the real one does
 * @param onMessage takes each message, and does so again after it was forgotten
 */
export function openTerminal(
  self: Self,
  files: { readonly plugin: string; readonly debug: string },
  reconnects: boolean,
  onMessage: (message: Message, forget: () => void) => void,
): Terminal {
  const hooks = JSON.parse(readFileSync(join(files.plugin, "hooks/hooks.json"), "utf8"));
  const hookUrl: string = hooks.hooks.Stop[0].hooks[0].url;
  const hookHeaders: { Authorization: string } = hooks.hooks.Stop[0].hooks[0].headers;
  const manifest = JSON.parse(readFileSync(join(files.plugin, ".claude-plugin/plugin.json"), "utf8"));
  const { SYNTHESIS_BRIDGE_URL, SYNTHESIS_BRIDGE_TOKEN } = manifest.mcpServers.chat.env;
  // Lets a test connect to the bridge as this process.
  if (process.env.STAND_IN_ENV) {
    const link = {
      SYNTHESIS_BRIDGE_URL,
      SYNTHESIS_BRIDGE_TOKEN,
      SYNTHESIS_HOOK_TOKEN: hookHeaders.Authorization.replace("Bearer ", ""),
    };
    appendFileSync(process.env.STAND_IN_ENV, `${JSON.stringify({ ...process.env, ...link })}\n`);
  }
  let socket: WebSocket;
  /** The state of the plugin's socket: connected or reconnecting, closed for good, or open without reading. */
  let plugin: "there" | "lost" | "stalled" = "there";
  let pressed = Promise.withResolvers<void>();
  /** Messages that claude has. One that arrives again after a dropped socket is ignored. */
  const seen = new Set<string>();
  /** Replies without an acknowledgement, by their ids. They are sent again after a reconnect. */
  const unanswered = new Map<string, { text: string; answered: () => void }>();
  const results = new Map<string, PromiseWithResolvers<string>>();

  const terminal: Terminal = {
    drawn: [],
    tool: undefined,
    hook: async (body) => {
      const sent = fetch(hookUrl, {
        method: "POST",
        headers: { "content-type": "application/json", ...hookHeaders },
        body: JSON.stringify({ session_id: self.session, transcript_path: self.transcript, ...body }),
      });
      // Claude ignores a hook that cannot be delivered.
      await sent.catch(() => {});
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
    call: (id, name, given) => {
      const result = Promise.withResolvers<string>();
      results.set(id, result);
      socket.send(writeFrame({ type: "tool_call", id, name, arguments: { ...given } }));
      return result.promise;
    },
    // The text that no hook has reported is in the transcript.
    repeat: () => {},
    interrupt: () => {
      pressed = Promise.withResolvers();
      return pressed.promise;
    },
    ended: () => {},
    obey: async (command) => {
      plugin = command === "drop" ? "there" : command === "lose" ? "lost" : "stalled";
      if (command === "drop") socket.terminate();
      if (command !== "lose") return;
      // Wait until the server has closed the socket, too: it must not send into a socket that is closing.
      const closed = Promise.withResolvers<void>();
      socket.addEventListener("close", () => closed.resolve());
      socket.close();
      await closed.promise;
    },
    makeNoise: async () => {},
  };

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
          openclaw_session: process.env.SYNTHESIS_OPENCLAW_SESSION ?? "",
          claude_session: self.session,
          plugin_version: "stand-in",
        }),
      );
      appendFileSync(files.debug, "[DEBUG] Channel notifications registered\n");
    };
    socket.onmessage = ({ data }) => {
      if (plugin === "stalled") return;
      const read = readFrame(serverFrame, String(data));
      if ("problem" in read) throw new Error(read.problem);
      handle(read.frame);
    };
    socket.onclose = ({ code }) => {
      // A test has connected as this process. Keep running, as claude does after its plugin has exited.
      if (code === CLOSE.REPLACED || plugin === "lost") return;
      if (!reconnects) process.exit(0);
      plugin = "there";
      setTimeout(connect, RECONNECT_MS);
    };
  }

  function handle(frame: ServerFrame): void {
    switch (frame.type) {
      case "ping":
        socket.send(writeFrame({ type: "pong" }));
        break;
      case "reply_ack":
        unanswered.get(frame.id)?.answered();
        break;
      case "hello_ack":
        terminal.tool = frame.tools[0]?.name;
        for (const { text } of unanswered.values()) socket.send(text);
        break;
      case "tools":
        terminal.tool = frame.tools.at(-1)?.name;
        socket.send(writeFrame({ type: "tools_listed", revision: frame.revision }));
        break;
      case "tool_result": {
        const text = frame.content.map((part) => (part.type === "text" ? part.text : "[image]")).join();
        results.get(frame.id)?.resolve(`${frame.is_error ? "✗" : ""}${text}`);
        break;
      }
      case "inbound": {
        const { content, meta, again = false } = frame;
        const id = meta.message_id;
        if (reconnects && seen.has(id) && !again) return;
        seen.add(id);
        const prompt = `<channel source="plugin:synthesis:chat" message_id="${id}">\n${content}\n</channel>`;
        onMessage({ id, content, prompt, again }, () => seen.delete(id));
      }
    }
  }

  process.stdout.on("resize", () => {
    const head = `stand-in \x1b[31min red\x1b[0m, ${process.stdout.columns} columns\r\n`;
    process.stdout.write(`\x1b[2J\x1b[H${head}${terminal.drawn.slice(-30).join("")}`);
  });
  process.stdin.setRawMode(true);
  process.stdin.on("data", (bytes) => {
    if (bytes.toString() === "\x1b") pressed.resolve();
  });
  connect();
  return terminal;
}
