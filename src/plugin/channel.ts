/**
 * What runs inside each claude as `synthesis channel`: an MCP server on stdio with a channel, and a
 * WebSocket to the server that started this claude. Messages go from the socket into the channel.
 *
 * It must never outlive its claude or its server: it ends on the end of stdin, on a signal, and when
 * the server has been away for longer than the grace period.
 */
import { Server } from "@modelcontextprotocol/server";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";
import { version } from "../../package.json";
import { CLOSE, type Inbound, type PluginFrame, PROTOCOL, readFrame, serverFrame, writeFrame } from "../wire/frames.ts";
import { SERVER_NAME } from "./manifest.ts";

/** How long the server may be away before this process ends, in ms. */
const GRACE_MS = 10_000;
const RECONNECT_MS = 250;
/** The server pings every 30 s unless told otherwise; after this much silence its socket is dead, in ms. */
const SILENCE_MS = 90_000;
/** So many message ids are remembered: one that is sent again after a dropped socket is not passed on twice. */
const REMEMBERED_IDS = 16;

const environment = z.object({
  SYNTHESIS_BRIDGE_URL: z.url(),
  SYNTHESIS_BRIDGE_TOKEN: z.string().min(1),
  SYNTHESIS_OPENCLAW_SESSION: z.string(),
  SYNTHESIS_CLAUDE_SESSION: z.string(),
});

/** Runs the channel until claude or the server is gone. */
export async function runChannel(env: Record<string, string | undefined>): Promise<void> {
  const parsed = environment.safeParse(env);
  if (!parsed.success) {
    console.error("synthesis channel is started by Claude Code for the synthesis server, not by hand.");
    process.exitCode = 2;
    return;
  }
  const { SYNTHESIS_BRIDGE_URL: url, SYNTHESIS_BRIDGE_TOKEN: token, ...sessions } = parsed.data;

  const over = Promise.withResolvers<void>();
  const mcp = new Server({ name: SERVER_NAME, version }, { capabilities: { experimental: { "claude/channel": {} } } });
  mcp.onclose = () => over.resolve();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => over.resolve());
  // The transport ends itself on the end of stdin; this is for a claude that died before it read a word.
  process.stdin.on("close", () => over.resolve());
  process.stdin.on("end", () => over.resolve());

  const seen: string[] = [];
  const deliver = async ({ content, meta, again }: Inbound) => {
    if (seen.includes(meta.message_id) && !again) return;
    seen.push(meta.message_id);
    if (seen.length > REMEMBERED_IDS) seen.shift();
    await mcp.notification({ method: "notifications/claude/channel", params: { content, meta } });
  };

  await mcp.connect(new StdioServerTransport());
  const bridge = keepConnected(
    url,
    token,
    {
      type: "hello",
      protocol: PROTOCOL,
      pid: process.ppid,
      openclaw_session: sessions.SYNTHESIS_OPENCLAW_SESSION,
      claude_session: sessions.SYNTHESIS_CLAUDE_SESSION,
      plugin_version: version,
    },
    { deliver, lost: () => over.resolve() },
  );
  await over.promise;
  bridge.close();
  await mcp.close();
  process.exit(0);
}

interface Bridge {
  close(): void;
}

/** Holds the WebSocket, and opens it again when it drops; `lost` when that does not help within the grace. */
function keepConnected(
  url: string,
  token: string,
  hello: PluginFrame,
  { deliver, lost }: { deliver: (inbound: Inbound) => Promise<void>; lost: () => void },
): Bridge {
  let socket: WebSocket;
  let retry: Timer | undefined;
  let grace: Timer | undefined = setTimeout(lost, GRACE_MS);
  let silence: Timer | undefined;
  let ended = false;

  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.terminate(), SILENCE_MS);
  };
  const connect = () => {
    socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
    socket.onopen = () => socket.send(writeFrame(hello));
    socket.onmessage = ({ data }) => {
      heard();
      const read = readFrame(serverFrame, String(data));
      if ("wrong" in read) console.error(`synthesis channel: frame ignored: ${read.wrong}`);
      else if (read.frame.type === "hello_ack") {
        clearTimeout(grace);
        grace = undefined;
      } else if (read.frame.type === "ping") socket.send(writeFrame({ type: "pong" }));
      else if (read.frame.type === "inbound") void deliver(read.frame);
    };
    socket.onclose = ({ code }) => {
      clearTimeout(silence);
      if (ended) return;
      // Told that nobody knows us, or that another has our place: coming back would not help.
      if (code === CLOSE.NOT_AUTHORIZED || code === CLOSE.REPLACED || code === CLOSE.PROTOCOL) return lost();
      grace ??= setTimeout(lost, GRACE_MS);
      retry = setTimeout(connect, RECONNECT_MS);
    };
  };
  connect();
  return {
    close: () => {
      ended = true;
      for (const timer of [retry, grace, silence]) clearTimeout(timer);
      socket.close(1000, "claude is gone");
    },
  };
}
