/**
 * The program that runs inside every Claude Code process as `synthesis channel`: an MCP server on stdio with a channel,
 * connected to the server by a WebSocket. It passes messages from the server into the channel, and tool calls of Claude
 * to the server.
 *
 * It must not outlive Claude Code or the server. It ends when stdin ends, on a signal, and when the connection to the
 * server is lost.
 */
import { Server, type Tool } from "@modelcontextprotocol/server";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";
import { version } from "../../package.json";
import { frameRejection, type Inbound, PROTOCOL, type ReplyMode, type ToolDefinition } from "../wire/frames.ts";
import { SERVER_NAME } from "./manifest.ts";
import { asMcpTool, toolError } from "./mcp-tool.ts";
import { REPLY_TOOL, replyArguments } from "./reply-tool.ts";
import { connectToServer } from "./server-connection.ts";

/** How many message ids are remembered, to ignore a message that the server sends again after a reconnect. */
const REMEMBERED_IDS = 16;
/** Claude Code collects changes of the tool list for 16 ms before it applies them. */
const APPLY_MS = 50;

const environment = z.object({
  SYNTHESIS_BRIDGE_URL: z.url(),
  SYNTHESIS_BRIDGE_TOKEN: z.string().min(1),
  SYNTHESIS_OPENCLAW_SESSION: z.string(),
  SYNTHESIS_CLAUDE_SESSION: z.string(),
});

/** Runs the channel until Claude Code exits or the server is lost. */
export async function runChannel(env: Record<string, string | undefined>): Promise<void> {
  const parsed = environment.safeParse(env);
  if (!parsed.success) {
    console.error("`synthesis channel` is started by Claude Code for the synthesis server. Do not start it yourself.");
    process.exitCode = 2;
    return;
  }
  const { SYNTHESIS_BRIDGE_URL: url, SYNTHESIS_BRIDGE_TOKEN: token, ...sessions } = parsed.data;

  const ended = Promise.withResolvers<void>();
  const mcp = new Server(
    { name: SERVER_NAME, version },
    { capabilities: { experimental: { "claude/channel": {} }, tools: { listChanged: true } } },
  );
  mcp.onclose = () => ended.resolve();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => ended.resolve());
  // The transport notices the end of stdin only once it reads. Claude Code may exit before that.
  process.stdin.on("close", () => ended.resolve());
  process.stdin.on("end", () => ended.resolve());

  const seenIds: string[] = [];
  const deliver = async ({ content, meta, again }: Inbound) => {
    if (seenIds.includes(meta.message_id) && !again) return;
    seenIds.push(meta.message_id);
    if (seenIds.length > REMEMBERED_IDS) seenIds.shift();
    await mcp.notification({ method: "notifications/claude/channel", params: { content, meta } });
  };

  /** Resolves with the server's first hello_ack. Claude Code may request the tools before that. */
  const welcomed = Promise.withResolvers<void>();
  let isWelcomed = false;
  let mode: ReplyMode = "live";
  let offeredTools: readonly ToolDefinition[] = [];
  /** The revision of the tool list that Claude Code has not requested yet. */
  let revision: number | null = null;

  const server = connectToServer(
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
      onHelloAck: (ack) => {
        mode = ack.mode;
        // After a reconnect the list may be an old one. Changes come in `tools` frames.
        if (!isWelcomed) offeredTools = ack.tools;
        isWelcomed = true;
        welcomed.resolve();
      },
      onInbound: (frame) => void deliver(frame),
      onTools: (frame) => {
        ({ tools: offeredTools, revision } = frame);
        void mcp.sendToolListChanged();
      },
      onLost: () => ended.resolve(),
    },
  );

  /** Resolves when Claude Code uses the tool list that it has received. */
  const listInUse = async () => {
    await mcp.ping();
    await Bun.sleep(APPLY_MS);
    // The answer to this second ping shows that Claude Code has had time to apply the list.
    await mcp.ping();
  };
  mcp.setRequestHandler("tools/list", async () => {
    await welcomed.promise;
    if (revision !== null) {
      const listed = revision;
      revision = null;
      // The list is sent when this handler returns, so the pings must come later.
      setImmediate(() =>
        listInUse().then(
          () => server.send({ type: "tools_listed", revision: listed }),
          (error) => console.error(`synthesis channel: Claude Code does not answer: ${error}`),
        ),
      );
    }
    return { tools: [...(mode === "tool" ? [REPLY_TOOL as Tool] : []), ...offeredTools.map(asMcpTool)] };
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
    const rejection = frameRejection(frame);
    if (rejection) return toolError(`This call ${rejection}`);
    const answer = await server.request(frame, mcpReq.signal);
    return answer?.type === "tool_result"
      ? { content: [...answer.content], isError: answer.is_error }
      : toolError(DISCONNECTED);
  });
  const sendReply = async (given: unknown, interrupted: AbortSignal) => {
    const parsed = replyArguments.safeParse(given);
    if (!parsed.success) return toolError("The reply tool needs `content`, a text.");
    const frame = { type: "reply" as const, id: crypto.randomUUID(), ...parsed.data };
    const rejection = frameRejection(frame);
    if (rejection) return toolError(`This reply ${rejection}`);
    return (await server.request(frame, interrupted))
      ? { content: [{ type: "text" as const, text: "sent" }] }
      : toolError(DISCONNECTED);
  };

  await mcp.connect(new StdioServerTransport());
  await ended.promise;
  server.close();
  await mcp.close();
  process.exit(0);
}

const DISCONNECTED = "The chat is no longer connected.";
