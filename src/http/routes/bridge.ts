/** `/bridge`: the WebSocket that the plugin in each Claude Code process connects to. */
import { getLogger } from "@logtape/logtape";
import type { Server, ServerWebSocket, WebSocketHandler } from "bun";
import { Connection } from "../../claude/interactive/connection.ts";
import { Pings } from "../../claude/interactive/pings.ts";
import type { InteractiveProcess } from "../../claude/interactive/process.ts";
import type { ProcessTokens } from "../../claude/interactive/process-tokens.ts";
import { RequestError } from "../../core/errors.ts";
import type { MessageCounts } from "../../core/message-counts.ts";
import { bearer } from "../../core/tokens.ts";
import { CLOSE, MAX_FRAME_BYTES } from "../../wire/frames.ts";

const log = getLogger(["synthesis", "bridge"]);

export interface BridgeData {
  /** The process whose token the request had; null if the token is unknown. */
  readonly process: InteractiveProcess | null;
  connection: Connection | null;
}

/** Upgrades a request for `/bridge` to a WebSocket. @throws RequestError if it is a plain HTTP request */
export function upgradeBridge(request: Request, server: Server<BridgeData>, tokens: ProcessTokens): undefined {
  const process = tokens.byBridgeToken(bearer(request.headers.get("authorization"))) ?? null;
  if (server.upgrade(request, { data: { process, connection: null } })) return undefined;
  throw new RequestError(
    "invalid_request",
    "This address accepts only WebSockets from synthesis's own plugin. Send chats to POST /v1/chat/completions.",
  );
}

/** Bun's handlers for the WebSockets of `/bridge`. */
export function bridgeHandlers(pingMs: number, messages: MessageCounts): WebSocketHandler<BridgeData> {
  const pings = new Pings(pingMs);
  return {
    // Above our own limit, so that a frame above that is closed with our own close code.
    maxPayloadLength: 4 * MAX_FRAME_BYTES,
    // Our pings find dead connections. Bun's timeout would also close those that are merely quiet.
    idleTimeout: 0,
    open(socket) {
      const { process } = socket.data;
      // Rejected only now: a WebSocket client sees close codes, but not the status of a failed upgrade.
      if (process) socket.data.connection = new Connection(socket, process.bridge, pings, messages);
      else socket.close(CLOSE.NOT_AUTHORIZED, "not authorized");
    },
    message: (socket, message) => closeOnError(socket, () => socket.data.connection?.receive(message)),
    close: (socket) => closeOnError(socket, () => socket.data.connection?.closed()),
  };
}

/** Closes the connection whose handler throws. Otherwise the exception would reach the whole server. */
function closeOnError(socket: ServerWebSocket<BridgeData>, handle: () => void): void {
  try {
    handle();
  } catch (error) {
    log.error("frame not handled, connection closed: {error}", { pid: socket.data.process?.pid, error });
    socket.close(CLOSE.FAILED, "the frame could not be handled");
  }
}
