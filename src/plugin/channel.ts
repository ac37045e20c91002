/**
 * What runs inside each claude as `synthesis channel`: an MCP server on stdio with a channel, and a
 * WebSocket to the server that started this claude. Messages go from the socket into the channel, calls
 * of the client's tools to the server and their results back.
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
  frameRejection,
  type Inbound,
  type PluginFrame,
  PROTOCOL,
  type ReplyMode,
  readFrame,
  type ServerFrame,
  serverFrame,
  type ToolCallFrame,
  type ToolDefinition,
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
/** claude gathers changes of its lists for 16 ms. */
const TAKEN_UP_MS = 50;
/** In characters; the most that claude allows. */
const LARGEST_RESULT = 500_000;

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
    { capabilities: { experimental: { "claude/channel": {} }, tools: { listChanged: true } } },
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
  const welcomed = Promise.withResolvers<void>();
  let isWelcome = false;
  let mode: ReplyMode = "live";
  let offered: readonly ToolDefinition[] = [];
  let revision: number | null = null;
  /** Resolves when claude uses the list it has got: it takes up changes in batches, a moment later. */
  const inUse = async () => {
    await mcp.ping();
    await Bun.sleep(TAKEN_UP_MS);
    // Answered only by a claude that has had the time to do it.
    await mcp.ping();
  };
  mcp.setRequestHandler("tools/list", async () => {
    await welcomed.promise;
    if (revision !== null) {
      const listed = revision;
      revision = null;
      // Behind the list, which goes out when this returns.
      setImmediate(() =>
        inUse().then(
          () => bridge.send({ type: "tools_listed", revision: listed }),
          (error) => console.error(`synthesis channel: claude does not answer: ${error}`),
        ),
      );
    }
    return { tools: [...(mode === "tool" ? [REPLY_TOOL as Tool] : []), ...offered.map(asTool)] };
  });
  mcp.setRequestHandler("tools/call", async ({ params }, { mcpReq }) => {
    if (mode === "tool" && params.name === REPLY_TOOL.name) return sendReply(params.arguments, mcpReq.signal);
    const id = params._meta?.["claudecode/toolUseId"];
    const frame = {
      type: "tool_call" as const,
      id: typeof id === "string" ? id : crypto.randomUUID(),
      name: params.name,
      arguments: params.arguments ?? {},
    };
    const refusal = frameRejection(frame);
    if (refusal) return failed(`This call ${refusal}`);
    const answer = await bridge.ask(frame, mcpReq.signal);
    return answer?.type === "tool_result"
      ? { content: [...answer.content], isError: answer.is_error }
      : failed("The person is gone.");
  });
  const sendReply = async (given: unknown, interrupted: AbortSignal) => {
    const parsed = replyArguments.safeParse(given);
    if (!parsed.success) return failed("The reply tool needs `content`, a text.");
    const frame = { type: "reply" as const, id: crypto.randomUUID(), ...parsed.data };
    const refusal = frameRejection(frame);
    if (refusal) return failed(`This reply ${refusal}`);
    return (await bridge.ask(frame, interrupted))
      ? { content: [{ type: "text" as const, text: "sent" }] }
      : failed("The person is gone.");
  };

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
    {
      deliver,
      welcome: (ack) => {
        mode = ack.mode;
        // Of a later change a frame of its own tells.
        if (!isWelcome) offered = ack.tools;
        isWelcome = true;
        welcomed.resolve();
      },
      change: (frame) => {
        ({ tools: offered, revision } = frame);
        void mcp.sendToolListChanged();
      },
      lost: () => over.resolve(),
    },
  );
  await mcp.connect(new StdioServerTransport());
  await over.promise;
  bridge.close();
  await mcp.close();
  process.exit(0);
}

const failed = (text: string) => ({ content: [{ type: "text" as const, text }], isError: true });

/** A tool of the client's, as claude is offered it. */
const asTool = (tool: ToolDefinition): Tool => ({
  ...(tool as Tool),
  // Calls of other tools claude sends one after the other, each when the one before has its result.
  annotations: { readOnlyHint: true },
  // A longer result claude writes to a file, of which the model sees the beginning.
  _meta: { "anthropic/maxResultSizeChars": LARGEST_RESULT },
});

type Welcome = ServerFrame & { type: "hello_ack" };
type Change = ServerFrame & { type: "tools" };
type Answer = ServerFrame & { type: "reply_ack" | "tool_result" };
type Ask = (PluginFrame & { type: "reply"; id: string }) | ToolCallFrame;

interface Bridge {
  /** Sends a reply or a call until it is answered; null when the server is gone for good, or claude was interrupted. */
  ask(frame: Ask, interrupted: AbortSignal): Promise<Answer | null>;
  /** Sends it if the server is there. */
  send(frame: PluginFrame): void;
  close(): void;
}

/** Holds the WebSocket, and opens it again when it drops; `lost` when that does not help within the grace. */
function keepConnected(
  url: string,
  token: string,
  hello: PluginFrame,
  on: {
    deliver: (inbound: Inbound) => Promise<void>;
    welcome: (ack: Welcome) => void;
    change: (tools: Change) => void;
    lost: () => void;
  },
): Bridge {
  let socket: WebSocket;
  let retry: Timer | undefined;
  let grace: Timer | undefined = setTimeout(on.lost, GRACE_MS);
  let silence: Timer | undefined;
  let ended = false;
  /** What has not been answered, by its id. */
  const unanswered = new Map<string, { frame: Ask; settle: (answer: Answer | null) => void }>();
  const send = (frame: PluginFrame) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(writeFrame(frame));
  };

  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.terminate(), SILENCE_MS);
  };
  const connect = () => {
    socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
    socket.onopen = () => socket.send(writeFrame(hello));
    socket.onmessage = ({ data }) => {
      try {
        receive(String(data));
      } catch (error) {
        // An exception here would end the plugin, and Claude Code does not start it again.
        console.error(`synthesis channel: connection closed, its frame could not be handled: ${error}`);
        socket.terminate();
      }
    };
    const receive = (text: string) => {
      heard();
      const read = readFrame(serverFrame, text);
      if ("problem" in read) console.error(`synthesis channel: frame ignored: ${read.problem}`);
      else if (read.frame.type === "hello_ack") {
        clearTimeout(grace);
        grace = undefined;
        on.welcome(read.frame);
        for (const { frame } of unanswered.values()) socket.send(writeFrame(frame));
      } else if (read.frame.type === "reply_ack" || read.frame.type === "tool_result") {
        unanswered.get(read.frame.id)?.settle(read.frame);
        unanswered.delete(read.frame.id);
      } else if (read.frame.type === "ping") socket.send(writeFrame({ type: "pong" }));
      else if (read.frame.type === "tools") on.change(read.frame);
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
    ask: (frame, interrupted) => {
      const { promise, resolve } = Promise.withResolvers<Answer | null>();
      interrupted.addEventListener("abort", () => {
        // It must not reach the next turn with the next hello_ack.
        if (unanswered.delete(frame.id) && frame.type === "tool_call") send({ type: "tool_cancel", id: frame.id });
        resolve(null);
      });
      unanswered.set(frame.id, { frame, settle: resolve });
      // On a socket that is away it is sent with the next hello_ack.
      send(frame);
      return promise;
    },
    send,
    close: () => {
      ended = true;
      for (const timer of [retry, grace, silence]) clearTimeout(timer);
      for (const { settle } of unanswered.values()) settle(null);
      socket.close(1000, "claude is gone");
    },
  };
}
