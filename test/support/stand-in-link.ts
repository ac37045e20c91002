/** What a stand-in for claude is, and how it talks to the server. */
import type { Command, Noise } from "../chaos/orders.ts";

/** A stand-in's session, and what it writes to the disk. */
export interface Self {
  /** The id of its Claude session. */
  readonly session: string;
  /** The path of its transcript. */
  readonly transcript: string;
  /** Appends a row to the transcript. */
  row(value: object): void;
  /** Writes the session file. */
  status(status: "busy" | "idle"): void;
  /** Exits as claude does, without a session file. */
  end(code: number): void;
}

/** A message as it arrives. */
export interface Message {
  /** Its id, a uuid. */
  readonly id: string;
  /** What the server sent, without the channel's tag. */
  readonly content: string;
  /** What claude records: the same text with the tag. */
  readonly prompt: string;
  /** The server has sent it before, and claude never took it. */
  readonly again: boolean;
}

/** How a stand-in talks to the server: from a terminal, with a plugin and hooks, or over stream-json. */
export interface Link {
  /** One of the client's tools. */
  readonly tool: string | undefined;
  /** Reports what a hook of claude's reports. Resolves when the server has taken it. */
  hook(body: { readonly hook_event_name: string; readonly [field: string]: unknown }): Promise<void>;
  /** Sends a reply of tool mode. Resolves when the server has acknowledged it. */
  reply(content: string, final: boolean): Promise<void>;
  /** Calls a tool of the client's. @returns the text of its result */
  call(id: string, name: string, given: object): Promise<string>;
  /** The stream of a message breaks off; claude gets the whole text with a second request. A terminal does not show it. */
  repeat(message: string, text: string): void;
  /** Resolves when the server interrupts next. */
  interrupt(): Promise<void>;
  /** The turn is over. @param interrupted the row with which claude has recorded an interruption */
  ended(how: "completed" | "cancelled", interrupted?: object): void;
  /** Something goes wrong with the connection to the server. */
  obey(command: Command): Promise<void>;
  /** Writes something that has nothing to do with the turn, and waits for an answer if it needs one. */
  makeNoise(noise: Noise): Promise<void>;
}
