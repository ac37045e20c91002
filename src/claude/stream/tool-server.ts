/**
 * The MCP server that offers Claude the client's tools and, in tool mode, the reply tool. It runs in this process: Claude
 * Code sends its MCP messages over stdin and stdout, so no plugin process is needed.
 */
import { getLogger } from "@logtape/logtape";
import type { JSONRPCMessage, Server, Tool, Transport } from "@modelcontextprotocol/server";
import { version } from "../../../package.json";
import { SERVER_NAME } from "../../plugin/manifest.ts";
import { asMcpTool, toolError } from "../../plugin/mcp-tool.ts";
import { REPLY_TOOL, replyArguments } from "../../plugin/reply-tool.ts";
import type {
  ReplyFrame,
  ReplyMode,
  ToolCallFrame,
  ToolDefinition,
  ToolResultFrame,
  ToolsFrame,
} from "../../wire/frames.ts";

/** Claude Code gathers changes of a tool list for 16 ms before it uses the new one, in ms. */
const LIST_IN_USE_MS = 50;

const log = getLogger(["synthesis", "process"]);

/** A message that needs no response could not be sent. A request gets the error as its response. */
const noteFailure = (error: unknown) => log.error("MCP server of the client's tools failed: {error}", { error });

interface ToolServerDeps {
  readonly mode: ReplyMode;
  /** The client's tools that Claude is offered. */
  readonly tools: () => readonly ToolDefinition[];
  /** Claude Code has this server. */
  readonly isConnected: () => boolean;
  /** Gives Claude Code this server, upon which it lists the tools. */
  readonly connect: () => void;
  /** Sends a message to Claude Code that is no response. */
  readonly send: (message: JSONRPCMessage) => void;
  readonly onCall: (call: ToolCallFrame) => void;
  readonly onCancel: (callId: string) => void;
  readonly onReply: (reply: ReplyFrame) => void;
  /** Claude uses the tools of this revision. */
  readonly onListed: (revision: number) => void;
}

export class ToolServer {
  readonly #deps: ToolServerDeps;
  /** Created when Claude Code connects. */
  #server: Promise<Server> | undefined;
  readonly #transport: Transport;
  /** A revision that was announced to Claude Code and that it has not requested; null when there is none. */
  #revision: number | null = null;
  #listTimer: Timer | undefined;
  /** Claude Code's requests without a response, by their JSON-RPC ids. */
  readonly #requests = new Map<string | number, (response: JSONRPCMessage | null) => void>();
  /** Calls without a result, by Claude's ids. */
  readonly #calls = new Map<string, (result: ToolResultFrame | null) => void>();

  constructor(deps: ToolServerDeps) {
    this.#deps = deps;
    this.#transport = {
      start: async () => {},
      close: async () => {},
      send: async (message) => {
        if ("id" in message && !("method" in message)) this.#settle(message.id, message);
        else deps.send(message);
      },
    };
  }

  #get(): Promise<Server> {
    this.#server ??= this.#start();
    return this.#server;
  }

  /** Loads the MCP library here, because conversations without tools do not need its memory. */
  async #start(): Promise<Server> {
    const { Server } = await import("@modelcontextprotocol/server");
    const server = new Server({ name: SERVER_NAME, version }, { capabilities: { tools: { listChanged: true } } });
    server.setRequestHandler("tools/list", async () => this.#list());
    server.setRequestHandler("tools/call", ({ params }, { mcpReq }) =>
      this.#deps.mode === "tool" && params.name === REPLY_TOOL.name
        ? this.#reply(params.arguments)
        : this.#call(params.name, params.arguments ?? {}, params._meta?.["claudecode/toolUseId"], mcpReq.signal),
    );
    await server.connect(this.#transport);
    return server;
  }

  /**
   * Handles a message of Claude Code's.
   * @returns the response; null when Claude Code no longer waits for it. A notification gets an empty one
   */
  async handle(message: JSONRPCMessage): Promise<JSONRPCMessage | null> {
    await this.#get();
    const { promise, resolve } = Promise.withResolvers<JSONRPCMessage | null>();
    if ("method" in message && "id" in message) this.#requests.set(message.id, resolve);
    else resolve({ jsonrpc: "2.0", id: 0, result: {} });
    this.#transport.onmessage?.(message);
    // The MCP library gives a cancelled request no response.
    if ("method" in message && message.method === "notifications/cancelled") {
      this.#settle(message.params?.requestId, null);
    }
    return promise;
  }

  #settle(id: unknown, response: JSONRPCMessage | null): void {
    if (typeof id !== "string" && typeof id !== "number") return;
    this.#requests.get(id)?.(response);
    this.#requests.delete(id);
  }

  /** Offers changed tools, or gives Claude the result of a call. */
  push(frame: ToolsFrame | ToolResultFrame): void {
    if (frame.type === "tools") {
      this.#revision = frame.revision;
      if (this.#deps.isConnected()) {
        this.#get()
          .then((server) => server.sendToolListChanged())
          .catch(noteFailure);
      } else this.#deps.connect();
    } else this.#calls.get(frame.id)?.(frame);
  }

  /** Ends every call that waits for a result. */
  close(): void {
    clearTimeout(this.#listTimer);
    for (const settle of this.#calls.values()) settle(null);
    this.#server?.then((server) => server.close()).catch(noteFailure);
  }

  #list(): { tools: Tool[] } {
    const revision = this.#revision;
    this.#revision = null;
    if (revision !== null) this.#listTimer = setTimeout(() => this.#deps.onListed(revision), LIST_IN_USE_MS);
    return {
      tools: [...(this.#deps.mode === "tool" ? [REPLY_TOOL as Tool] : []), ...this.#deps.tools().map(asMcpTool)],
    };
  }

  async #call(name: string, given: Record<string, unknown>, toolUse: unknown, cancelled: AbortSignal) {
    const id = typeof toolUse === "string" ? toolUse : crypto.randomUUID();
    const { promise, resolve } = Promise.withResolvers<ToolResultFrame | null>();
    this.#calls.set(id, resolve);
    cancelled.addEventListener("abort", () => {
      this.#deps.onCancel(id);
      resolve(null);
    });
    this.#deps.onCall({ type: "tool_call", id, name, arguments: given });
    const result = await promise;
    this.#calls.delete(id);
    return result ? { content: [...result.content], isError: result.is_error } : toolError("The client disconnected.");
  }

  async #reply(given: unknown) {
    const parsed = replyArguments.safeParse(given);
    if (!parsed.success) return toolError("The reply tool needs `content`, a text.");
    this.#deps.onReply({ type: "reply", id: crypto.randomUUID(), ...parsed.data });
    return { content: [{ type: "text" as const, text: "sent" }] };
  }
}
