/**
 * The plugin's WebSocket to the server that started Claude Code. It reconnects when the socket drops. Replies and tool
 * calls are sent again on the new socket until the server has answered them.
 */
import {
  CLOSE,
  type Inbound,
  type PluginFrame,
  readFrame,
  type ServerFrame,
  serverFrame,
  type ToolCallFrame,
  writeFrame,
} from "../wire/frames.ts";

/** The connection counts as lost after this time without a socket. */
const GRACE_MS = 10_000;
const RECONNECT_MS = 250;
/** The server pings every 30 s by default. A socket that is silent for this long is dead. */
const SILENCE_MS = 90_000;

type HelloAck = ServerFrame & { type: "hello_ack" };
type ToolsChange = ServerFrame & { type: "tools" };
type Answer = ServerFrame & { type: "reply_ack" | "tool_result" };
type Request = (PluginFrame & { type: "reply"; id: string }) | ToolCallFrame;

interface ConnectionListener {
  /** The server has accepted the connection, for the first time or after a reconnect. */
  onHelloAck(frame: HelloAck): void;
  onInbound(frame: Inbound): void;
  onTools(frame: ToolsChange): void;
  /** The connection cannot be restored. */
  onLost(): void;
}

interface ServerConnection {
  /**
   * Sends a reply or a tool call until the server has answered it.
   * @returns null when the connection was lost or Claude was interrupted
   */
  request(frame: Request, interrupted: AbortSignal): Promise<Answer | null>;
  /** Sends a frame, unless the socket is closed at the moment. */
  send(frame: PluginFrame): void;
  close(): void;
}

/** @param hello the first frame on every socket */
export function connectToServer(
  url: string,
  token: string,
  hello: PluginFrame,
  listener: ConnectionListener,
): ServerConnection {
  let socket: WebSocket;
  let reconnectTimer: Timer | undefined;
  let graceTimer: Timer | undefined = setTimeout(listener.onLost, GRACE_MS);
  let silenceTimer: Timer | undefined;
  let isClosed = false;
  /** The requests that the server has not answered, by id. */
  const pending = new Map<string, { frame: Request; resolve: (answer: Answer | null) => void }>();

  const send = (frame: PluginFrame) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(writeFrame(frame));
  };
  const restartSilenceTimer = () => {
    clearTimeout(silenceTimer);
    silenceTimer = setTimeout(() => socket.terminate(), SILENCE_MS);
  };

  const receive = (text: string) => {
    restartSilenceTimer();
    const read = readFrame(serverFrame, text);
    if ("problem" in read) {
      console.error(`synthesis channel: frame ignored: ${read.problem}`);
      return;
    }
    const { frame } = read;
    switch (frame.type) {
      case "hello_ack":
        clearTimeout(graceTimer);
        graceTimer = undefined;
        listener.onHelloAck(frame);
        for (const request of pending.values()) socket.send(writeFrame(request.frame));
        break;
      case "reply_ack":
      case "tool_result":
        pending.get(frame.id)?.resolve(frame);
        pending.delete(frame.id);
        break;
      case "ping":
        socket.send(writeFrame({ type: "pong" }));
        break;
      case "tools":
        listener.onTools(frame);
        break;
      case "inbound":
        listener.onInbound(frame);
    }
  };

  const connect = () => {
    socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
    socket.onopen = () => socket.send(writeFrame(hello));
    socket.onmessage = ({ data }) => {
      try {
        receive(String(data));
      } catch (error) {
        // An uncaught exception would end the plugin, and Claude Code does not start it again.
        console.error(`synthesis channel: connection closed, its frame could not be handled: ${error}`);
        socket.terminate();
      }
    };
    socket.onclose = ({ code }) => {
      clearTimeout(silenceTimer);
      if (isClosed) return;
      // The server does not accept this plugin, or another socket has replaced it. A new attempt would fail too.
      if (code === CLOSE.NOT_AUTHORIZED || code === CLOSE.REPLACED || code === CLOSE.PROTOCOL) {
        listener.onLost();
        return;
      }
      graceTimer ??= setTimeout(listener.onLost, GRACE_MS);
      reconnectTimer = setTimeout(connect, RECONNECT_MS);
    };
  };
  connect();

  return {
    request: (frame, interrupted) => {
      const { promise, resolve } = Promise.withResolvers<Answer | null>();
      interrupted.addEventListener("abort", () => {
        // Removed, because after a reconnect the request would reach the server in the next turn.
        if (pending.delete(frame.id) && frame.type === "tool_call") send({ type: "tool_cancel", id: frame.id });
        resolve(null);
      });
      pending.set(frame.id, { frame, resolve });
      // Without an open socket, the request is sent after the next hello_ack.
      send(frame);
      return promise;
    },
    send,
    close: () => {
      isClosed = true;
      for (const timer of [reconnectTimer, graceTimer, silenceTimer]) clearTimeout(timer);
      for (const { resolve } of pending.values()) resolve(null);
      socket.close(1000, "Claude Code has exited");
    },
  };
}
