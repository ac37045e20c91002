/** The server's end of one WebSocket of a plugin: a hello first, then frames, and pings to find dead connections. */
import { getLogger } from "@logtape/logtape";
import type { MessageCounts } from "../../core/message-counts.ts";
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
import type { Pings } from "./pings.ts";

const log = getLogger(["synthesis", "bridge"]);

/** The part of Bun's ServerWebSocket that is used here. */
export interface Socket {
  send(text: string): number;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** The part of a process that its connection uses. */
export interface ConnectionOwner {
  readonly pid: number;
  /** What the plugin offers Claude. */
  readonly offer: { readonly mode: ReplyMode; readonly tools: readonly ToolDefinition[] };
  receiveReply(frame: ReplyFrame): void;
  /** Claude calls one of the client's tools. The plugin may send the same call again. */
  receiveCall(frame: ToolCallFrame): void;
  receiveCancel(callId: string): void;
  /** Claude has requested the list of tools and got this revision. */
  receiveListed(revision: number): void;
  /** The plugin has sent its hello, so messages can be sent from now on. */
  attach(connection: Connection): void;
  /** The socket has closed. */
  detach(connection: Connection): void;
}

export class Connection {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #messages: MessageCounts | undefined;
  /** Claude Code's process id, as the plugin sees it; 0 before the hello. It may run below a wrapper. */
  pid = 0;

  readonly #pings: Pings;
  #greeted = false;
  #unansweredPings = 0;

  /**
   * @param pings pings it while it is open; a plugin that is silent for two pings is disconnected at the third
   * @param messages counts the frames
   */
  constructor(socket: Socket, owner: ConnectionOwner, pings: Pings, messages?: MessageCounts) {
    this.#socket = socket;
    this.#messages = messages;
    this.#owner = owner;
    this.#pings = pings;
    pings.add(this);
  }

  ping(): void {
    this.#unansweredPings += 1;
    if (this.#unansweredPings > 2) {
      log.warning("plugin silent, connection closed", { pid: this.#owner.pid });
      this.#socket.terminate();
    } else this.#send({ type: "ping" });
  }

  /** Receives one message from the socket. */
  receive(message: string | Buffer): void {
    this.#unansweredPings = 0;
    if (Buffer.byteLength(message) > MAX_FRAME_BYTES) {
      this.close(CLOSE.TOO_LARGE, "frame too large");
      return;
    }
    const read = readFrame(pluginFrame, message.toString());
    if ("frame" in read) this.#messages?.note("frame_in", read.frame.type);
    if (!this.#greeted) this.#greet(read);
    else if ("problem" in read) {
      log.warning("frame ignored: {problem}", { pid: this.#owner.pid, problem: read.problem });
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
    if ("problem" in read || read.frame.type !== "hello") {
      this.close(CLOSE.EXPECTED_HELLO, "expected hello");
    } else if (read.frame.protocol !== PROTOCOL) {
      this.close(CLOSE.PROTOCOL, `this server uses protocol ${PROTOCOL}`);
    } else {
      this.#greeted = true;
      this.pid = read.frame.pid;
      this.#send({ type: "hello_ack", protocol: PROTOCOL, ...this.#owner.offer });
      log.debug("plugin connected", { pid: this.#owner.pid, plugin: read.frame.plugin_version });
      this.#owner.attach(this);
    }
  }

  /** Sends a message, a tool result or the list of tools to the plugin. @returns false when it could not be queued */
  push(frame: Inbound | ToolsFrame | ToolResultFrame): boolean {
    return this.#send(frame);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  /** Either end has closed the socket. */
  closed(): void {
    this.#pings.remove(this);
    if (this.#greeted) this.#owner.detach(this);
  }

  #send(frame: ServerFrame): boolean {
    this.#messages?.note("frame_out", frame.type);
    // Bun returns 0 for a dropped frame, -1 for one that is queued behind a slow reader, else the bytes sent.
    return this.#socket.send(writeFrame(frame)) !== 0;
  }
}
