/** What a process exchanges with its plugin, across all connections that the plugin opens during the process's life. */
import type { Clock } from "../../core/clock.ts";
import type { ToolCall } from "../../core/tools.ts";
import {
  CLOSE,
  type Inbound,
  type ReplyFrame,
  type ReplyMode,
  type ToolCallFrame,
  type ToolResultFrame,
  type ToolsFrame,
} from "../../wire/frames.ts";
import type { OfferedTools } from "../offered-tools.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";

/** How long a plugin whose connection dropped may take to reconnect, in ms. */
const RECONNECT_GRACE_MS = 10_000;
/** How many reply ids are remembered, so that a reply that is sent again is not taken twice. */
const REMEMBERED_REPLIES = 16;

export interface PluginBridgeDeps {
  readonly tools: OfferedTools;
  readonly mode: ReplyMode;
  readonly clock: Clock;
  readonly pid: () => number;
  /** The process accepts messages, so a dropped connection is worth waiting for. */
  readonly isReady: () => boolean;
  /** Anything but a cancellation arrived from the plugin. */
  onActivity(): void;
  onReply(frame: ReplyFrame): void;
  onCall(call: ToolCall): void;
  onCancel(callId: string): void;
  onConnection(isOpen: boolean): void;
}

export class PluginBridge implements ConnectionOwner {
  readonly #deps: PluginBridgeDeps;
  #connection: Connection | null = null;
  /** Set while a dropped connection may come back. Resolves with whether it did in time. */
  #reconnection: (PromiseWithResolvers<boolean> & { cancelGrace: () => void }) | null = null;
  #claudePid: number | null = null;
  readonly #replies: string[] = [];

  constructor(deps: PluginBridgeDeps) {
    this.#deps = deps;
  }

  get isOpen(): boolean {
    return this.#connection !== null;
  }

  /** Claude Code's process id, as the plugin sees it; null before the first connection. It may run below a wrapper. */
  get claudePid(): number | null {
    return this.#claudePid;
  }

  get pid(): number {
    return this.#deps.pid();
  }

  get offer() {
    return { mode: this.#deps.mode, tools: this.#deps.tools.definitions };
  }

  /** @returns false when the plugin is not connected */
  push(frame: Inbound | ToolsFrame | ToolResultFrame): boolean {
    return this.#connection?.push(frame) ?? false;
  }

  /** Whether messages can be sent. Waits for a plugin that is reconnecting. */
  async isConnected(): Promise<boolean> {
    return this.#reconnection ? this.#reconnection.promise : this.isOpen;
  }

  attach(connection: Connection): void {
    this.#connection?.close(CLOSE.REPLACED, "replaced by reconnect");
    this.#connection = connection;
    this.#claudePid = connection.pid;
    this.#endReconnection(true);
    this.#deps.tools.repeat();
    this.#deps.onConnection(true);
  }

  detach(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    if (this.#deps.isReady()) {
      const cancelGrace = this.#deps.clock.after(RECONNECT_GRACE_MS, () => this.#endReconnection(false));
      this.#reconnection = { ...Promise.withResolvers<boolean>(), cancelGrace };
    }
    this.#deps.onConnection(false);
  }

  receiveReply(frame: ReplyFrame): void {
    this.#deps.onActivity();
    if (frame.id !== undefined) {
      // The plugin sends a reply again when the connection dropped before the acknowledgement.
      if (this.#replies.includes(frame.id)) return;
      this.#replies.push(frame.id);
      if (this.#replies.length > REMEMBERED_REPLIES) this.#replies.shift();
    }
    this.#deps.onReply(frame);
  }

  receiveCall(frame: ToolCallFrame): void {
    this.#deps.onActivity();
    const call = this.#deps.tools.receive(frame);
    if (call) this.#deps.onCall(call);
  }

  receiveCancel(callId: string): void {
    this.#deps.onCancel(callId);
  }

  receiveListed(revision: number): void {
    this.#deps.tools.noteListed(revision);
  }

  /** The process has exited. */
  close(): void {
    this.#connection?.close(1000, "claude exited");
    this.#endReconnection(false);
  }

  #endReconnection(isConnected: boolean): void {
    this.#reconnection?.cancelGrace();
    this.#reconnection?.resolve(isConnected);
    this.#reconnection = null;
  }
}
