/** The control requests that Claude Code makes: MCP messages for our tools, and permission prompts. Each gets a response. */
import { getLogger } from "@logtape/logtape";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { PermissionRequests } from "./permission-requests.ts";
import { type ControlRequest, controlErrorLine, controlResponseLine, type RefusedRequest } from "./protocol.ts";
import type { ToolServer } from "./tool-server.ts";

const log = getLogger(["synthesis", "process"]);

interface ClaudeRequestsDeps {
  readonly toolServer: Pick<ToolServer, "handle">;
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

  constructor(deps: ClaudeRequestsDeps) {
    this.#deps = deps;
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

  cancelAll(): void {
    this.#permissions.cancelAll();
  }

  async #handleMcp(message: JSONRPCMessage): Promise<object | null> {
    const response = await this.#deps.toolServer.handle(message);
    return response && { mcp_response: response };
  }
}
