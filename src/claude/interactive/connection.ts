/** The server's end of one plugin's WebSocket: hello first, then frames, and a ping when it is quiet. */
import { getLogger } from "@logtape/logtape";
import {
  CLOSE,
  type Inbound,
  MAX_FRAME_BYTES,
  PROTOCOL,
  pluginFrame,
  type ReplyFrame,
  type ReplyMode,
  readFrame,
  type ServerFrame,
  type ToolCallFrame,
  type ToolDefinition,
  type ToolResultFrame,
  type ToolsFrame,
  writeFrame,
} from "../../wire/frames.ts";

const log = getLogger(["synthesis", "bridge"]);

/** What is used of Bun's ServerWebSocket. */
export interface Socket {
  send(text: string): number;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** The process a connection belongs to, as far as the connection needs it. */
export interface ConnectionOwner {
  readonly pid: number;
  /** What the plugin is told to offer. */
  readonly offer: { readonly mode: ReplyMode; readonly tools: readonly ToolDefinition[] };
  receiveReply(frame: ReplyFrame): void;
  /** claude calls a tool of the client's; the same call may come again. */
  receiveCall(frame: ToolCallFrame): void;
  receiveCancel(callId: string): void;
  /** claude has the tools of this revision. */
  receiveListed(revision: number): void;
  /** hello was seen: from now on messages can be sent. */
  attach(connection: Connection): void;
  /** The socket is gone. */
  detach(connection: Connection): void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  /** claude's process id, as its plugin sees it: a wrapper may stand between it and us. */
  pid = 0;

  readonly #beat: Timer;
  #greeted = false;
  #quietBeats = 0;

  /** @param pingMs pause between pings, in ms; a peer silent for two of them is cut off */
  constructor(socket: Socket, owner: ConnectionOwner, pingMs: number) {
    this.#socket = socket;
    this.#owner = owner;
    this.#beat = setInterval(() => {
      this.#quietBeats += 1;
      if (this.#quietBeats > 2) {
        log.warning("plugin silent, connection cut", { pid: owner.pid });
        this.#socket.terminate();
      } else this.#send({ type: "ping" });
    }, pingMs);
  }

  /** Takes one message from the socket. */
  receive(message: string | Buffer): void {
    this.#quietBeats = 0;
    if (Buffer.byteLength(message) > MAX_FRAME_BYTES) {
      this.close(CLOSE.TOO_LARGE, "frame too large");
      return;
    }
    const read = readFrame(pluginFrame, message.toString());
    if (!this.#greeted) this.#greet(read);
    else if ("wrong" in read) {
      log.warning("frame ignored: {wrong}", { pid: this.#owner.pid, wrong: read.wrong });
    } else if (read.frame.type === "hello") {
      log.warning("second hello ignored", { pid: this.#owner.pid });
    } else if (read.frame.type === "ping") {
      this.#send({ type: "pong" });
    } else if (read.frame.type === "reply") {
      this.#owner.receiveReply(read.frame);
      if (read.frame.id !== undefined) this.#send({ type: "reply_ack", id: read.frame.id });
    } else if (read.frame.type === "tool_call") {
      this.#owner.receiveCall(read.frame);
    } else if (read.frame.type === "tool_cancel") {
      this.#owner.receiveCancel(read.frame.id);
    } else if (read.frame.type === "tools_listed") {
      this.#owner.receiveListed(read.frame.revision);
    }
  }

  #greet(read: ReturnType<typeof readFrame<typeof pluginFrame>>): void {
    if ("wrong" in read || read.frame.type !== "hello") {
      this.close(CLOSE.EXPECTED_HELLO, "expected hello");
    } else if (read.frame.protocol !== PROTOCOL) {
      this.close(CLOSE.PROTOCOL, `protocol ${PROTOCOL} is spoken here`);
    } else {
      this.#greeted = true;
      this.pid = read.frame.pid;
      this.#send({ type: "hello_ack", protocol: PROTOCOL, ...this.#owner.offer });
      log.debug("hello", { pid: this.#owner.pid, plugin: read.frame.plugin_version });
      this.#owner.attach(this);
    }
  }

  /** Pushes a message, a result or the tools to the plugin. False when it could not even be queued. */
  push(frame: Inbound | ToolsFrame | ToolResultFrame): boolean {
    return this.#send(frame);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  /** The socket has closed, by whichever end. */
  closed(): void {
    clearInterval(this.#beat);
    if (this.#greeted) this.#owner.detach(this);
  }

  #send(frame: ServerFrame): boolean {
    // Bun: 0 means dropped, -1 queued behind a slow reader, else the bytes sent.
    return this.#socket.send(writeFrame(frame)) !== 0;
  }
}
