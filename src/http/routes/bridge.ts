/** `WS /bridge`: where the plugin inside each claude connects. */
import { getLogger } from "@logtape/logtape";
import type { Server, ServerWebSocket, WebSocketHandler } from "bun";
import { Connection } from "../../claude/interactive/connection.ts";
import type { ClaudeProcess } from "../../claude/interactive/process.ts";
import type { Pool } from "../../claude/pool/pool.ts";
import { RequestError } from "../../core/errors.ts";
import { bearer } from "../../core/tokens.ts";
import { CLOSE, MAX_FRAME_BYTES } from "../../wire/frames.ts";

const log = getLogger(["synthesis", "bridge"]);

export interface BridgeData {
  /** Whose token the socket brought; null for nobody's. */
  readonly process: ClaudeProcess | null;
  connection: Connection | null;
}

/** Turns a request for `/bridge` into a WebSocket. @throws ApiError when it is for none */
export function upgradeBridge(request: Request, server: Server<BridgeData>, pool: Pool): undefined {
  const process = pool.byBridgeToken(bearer(request.headers.get("authorization"))) ?? null;
  if (server.upgrade(request, { data: { process, connection: null } })) return undefined;
  throw new RequestError(
    "invalid_request",
    "This address takes WebSockets only, from the plugin in each claude. A chat is POST /v1/chat/completions.",
  );
}

/** An exception in a handler closes its own connection: the others must not notice. */
function closingOnError(socket: ServerWebSocket<BridgeData>, handle: () => void): void {
  try {
    handle();
  } catch (error) {
    log.error("connection closed, its frame could not be handled: {error}", { pid: socket.data.process?.pid, error });
    socket.close(CLOSE.FAILED, "the frame could not be handled");
  }
}

/** Bun's handlers for the sockets of `/bridge`. */
export function bridgeHandlers(pingMs: number): WebSocketHandler<BridgeData> {
  return {
    // Above our own limit, so that it is we who say what was wrong.
    maxPayloadLength: 4 * MAX_FRAME_BYTES,
    // Our own pings find out; Bun's limit would cut a plugin that is merely quiet.
    idleTimeout: 0,
    open(socket) {
      const { process } = socket.data;
      // A plain 401 would not reach the plugin: a WebSocket client sees close codes only.
      if (process) socket.data.connection = new Connection(socket, process, pingMs);
      else socket.close(CLOSE.NOT_AUTHORIZED, "not authorized");
    },
    message: (socket, message) => closingOnError(socket, () => socket.data.connection?.receive(message)),
    close: (socket) => closingOnError(socket, () => socket.data.connection?.closed()),
  };
}
