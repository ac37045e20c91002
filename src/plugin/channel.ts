/**
 * What runs inside each claude as `synthesis channel`: an MCP server on stdio with a channel, and a
 * WebSocket to the server that started this claude. Messages go from the socket into the channel.
 *
 * It must never outlive its claude or its server: it ends on the end of stdin, on a signal, and when
 * the server has been away for longer than the grace period.
 */
import { Server, type Tool } from "@modelcontextprotocol/server";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";
import { version } from "../../package.json";
import {
  CLOSE,
  type Inbound,
  MAX_FRAME_BYTES,
  type PluginFrame,
  PROTOCOL,
  readFrame,
  type ServerFrame,
  serverFrame,
  writeFrame,
} from "../wire/frames.ts";
import { SERVER_NAME } from "./manifest.ts";
import { REPLY_TOOL, replyArguments } from "./reply-tool.ts";

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
  const mcp = new Server(
    { name: SERVER_NAME, version },
    { capabilities: { experimental: { "claude/channel": {} }, tools: {} } },
  );
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

  // claude asks for the tools before the server may have said which there are.
  const welcomed = Promise.withResolvers<Welcome>();
  mcp.setRequestHandler("tools/list", async () => {
    const { mode, tools } = await welcomed.promise;
    return { tools: [...(mode === "tool" ? [REPLY_TOOL] : []), ...tools] as Tool[] };
  });
  mcp.setRequestHandler("tools/call", async ({ params }, { mcpReq }) => {
    const parsed = replyArguments.safeParse(params.arguments);
    if (params.name !== REPLY_TOOL.name || !parsed.success) return failed("The reply tool needs `content`, a text.");
    const frame = { type: "reply" as const, id: crypto.randomUUID(), ...parsed.data };
    if (Buffer.byteLength(writeFrame(frame)) > MAX_FRAME_BYTES) return failed("Too long. Send it in several parts.");
    return (await bridge.reply(frame, mcpReq.signal))
      ? { content: [{ type: "text", text: "sent" }] }
      : failed("The person is gone.");
  });

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
    { deliver, welcome: welcomed.resolve, lost: () => over.resolve() },
  );
  await mcp.connect(new StdioServerTransport());
  await over.promise;
  bridge.close();
  await mcp.close();
  process.exit(0);
}

const failed = (text: string) => ({ content: [{ type: "text" as const, text }], isError: true });

type Welcome = ServerFrame & { type: "hello_ack" };
type IdentifiedReply = PluginFrame & { type: "reply"; id: string };

interface Bridge {
  /** Sends a reply until it is acknowledged; false when the server is gone for good, or claude was interrupted. */
  reply(frame: IdentifiedReply, interrupted: AbortSignal): Promise<boolean>;
  close(): void;
}

/** Holds the WebSocket, and opens it again when it drops; `lost` when that does not help within the grace. */
function keepConnected(
  url: string,
  token: string,
  hello: PluginFrame,
  on: { deliver: (inbound: Inbound) => Promise<void>; welcome: (ack: Welcome) => void; lost: () => void },
): Bridge {
  let socket: WebSocket;
  let retry: Timer | undefined;
  let grace: Timer | undefined = setTimeout(on.lost, GRACE_MS);
  let silence: Timer | undefined;
  let ended = false;
  /** Replies that have not been acknowledged, by their ids. */
  const unacknowledged = new Map<string, { frame: IdentifiedReply; settle: (acknowledged: boolean) => void }>();

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
        on.welcome(read.frame);
        for (const { frame } of unacknowledged.values()) socket.send(writeFrame(frame));
      } else if (read.frame.type === "reply_ack") {
        unacknowledged.get(read.frame.id)?.settle(true);
        unacknowledged.delete(read.frame.id);
      } else if (read.frame.type === "ping") socket.send(writeFrame({ type: "pong" }));
      else if (read.frame.type === "inbound") void on.deliver(read.frame);
    };
    socket.onclose = ({ code }) => {
      clearTimeout(silence);
      if (ended) return;
      // Told that nobody knows us, or that another has our place: coming back would not help.
      if (code === CLOSE.NOT_AUTHORIZED || code === CLOSE.REPLACED || code === CLOSE.PROTOCOL) return on.lost();
      grace ??= setTimeout(on.lost, GRACE_MS);
      retry = setTimeout(connect, RECONNECT_MS);
    };
  };
  connect();
  return {
    reply: (frame, interrupted) => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      interrupted.addEventListener("abort", () => {
        // It must not reach the next turn with the next hello_ack.
        unacknowledged.delete(frame.id);
        resolve(false);
      });
      unacknowledged.set(frame.id, { frame, settle: resolve });
      // On a socket that is away it is sent with the next hello_ack.
      if (socket.readyState === WebSocket.OPEN) socket.send(writeFrame(frame));
      return promise;
    },
    close: () => {
      ended = true;
      for (const timer of [retry, grace, silence]) clearTimeout(timer);
      for (const { settle } of unacknowledged.values()) settle(false);
      socket.close(1000, "claude is gone");
    },
  };
}
