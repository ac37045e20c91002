/** The control requests that Claude Code makes: MCP messages for our tools, and permission prompts. Each gets a response. */
import { getLogger } from "@logtape/logtape";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import type { ReplyMode } from "../../wire/frames.ts";
import type { ClaudeEvent } from "../agent-process.ts";
import type { OfferedTools } from "../offered-tools.ts";
import type { ControlRequests } from "./control-requests.ts";
import { MCP_SERVER, type StreamOptions } from "./options.ts";
import { PermissionRequests } from "./permission-requests.ts";
import { type ControlRequest, controlErrorLine, controlResponseLine, type RefusedRequest } from "./protocol.ts";
import { ToolServer } from "./tool-server.ts";

const log = getLogger(["synthesis", "process"]);

interface ClaudeRequestsDeps {
  readonly mode: ReplyMode;
  readonly tools: OfferedTools;
  readonly control: Pick<ControlRequests, "send">;
  readonly options: Pick<StreamOptions, "hasServer" | "connectServer">;
  /** Claude Code refuses to connect to the server of the client's tools. */
  readonly onNotConnected: () => void;
  /** Reports what Claude does with its tools. */
  readonly emit: (event: ClaudeEvent) => void;
  /** Decides a permission prompt. */
  readonly decide: Parameters<PermissionRequests["handle"]>[3];
  /** The Claude session, and the prompt that Claude works on. */
  readonly session: () => Parameters<PermissionRequests["handle"]>[2];
  readonly write: (line: string) => unknown;
  /** Names the process in the log. */
  readonly logFields: () => { session: string; pid: number };
}

export class ClaudeRequests {
  readonly #deps: ClaudeRequestsDeps;
  readonly #permissions = new PermissionRequests();
  readonly toolServer: ToolServer;

  constructor(deps: ClaudeRequestsDeps) {
    const { mode, tools, control, options, emit, onNotConnected } = deps;
    this.#deps = deps;
    this.toolServer = new ToolServer({
      mode,
      tools: () => tools.definitions,
      isConnected: () => options.hasServer,
      connect: () => void options.connectServer().then((isConnected) => isConnected || onNotConnected()),
      send: (message) => control.send({ subtype: "mcp_message", server_name: MCP_SERVER, message }),
      onCall: (frame) => {
        const call = tools.receive(frame);
        if (call) emit({ type: "call", call });
      },
      onCancel: (id) => emit({ type: "call_cancelled", id }),
      onReply: (frame) => emit({ type: "reply", frame }),
      onListed: (revision) => tools.noteListed(revision),
    });
  }

  async handle({ request_id: id, request }: ControlRequest): Promise<void> {
    const { decide, session, write, logFields } = this.#deps;
    try {
      const response =
        request.subtype === "mcp_message"
          ? await this.#handleMcp(request.message as JSONRPCMessage)
          : await this.#permissions.handle(id, request, session(), decide);
      if (response) write(controlResponseLine(id, response));
    } catch (error) {
      // Without a response Claude Code would wait for one.
      log.error("control request could not be handled: {error}", { ...logFields(), error });
      write(controlErrorLine(id, "could not be handled"));
    }
  }

  refuse({ id, why }: RefusedRequest): void {
    this.#deps.write(controlErrorLine(id, why));
  }

  /** Claude Code no longer waits for the response to a request. */
  cancel(id: string): void {
    this.#permissions.cancel(id);
  }

  /** The process has exited. */
  close(): void {
    this.#permissions.cancelAll();
    this.toolServer.close();
  }

  async #handleMcp(message: JSONRPCMessage): Promise<object | null> {
    const response = await this.toolServer.handle(message);
    return response && { mcp_response: response };
  }
}
