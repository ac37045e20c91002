/** What a stand-in writes to stdout: its lines, in order, and what must not disturb the server. */
import { closeSync, writeSync } from "node:fs";
import type { Command, Noise } from "../chaos/orders.ts";

const STDIN = 0;
const STDOUT = 1;
/** Lines that are no lines of stream-json, or of no use. */
const GARBAGE = [
  "Warning: something is deprecated.",
  '{"type":"assistant","message":',
  "null",
  "[]",
  '{"type":"result"}',
  '{"type":"stream_event","event":5}',
  '{"type":"a_line_of_a_later_version","uuid":"1"}',
  "[".repeat(100_000),
  "x".repeat(300_000),
  "\u0000\ufffd",
];

export class StandInOutput {
  #isSplit = false;
  #written: Promise<void> = Promise.resolve();

  /** Resolves when everything so far is written. */
  get written(): Promise<void> {
    return this.#written;
  }

  write(line: object): void {
    this.#text(`${JSON.stringify(line)}\n`);
  }

  makeNoise(noise: Noise): void {
    if (noise === "garbage") for (const line of GARBAGE) this.#text(`${line}\n`);
    if (noise === "another turn") {
      const command_uuid = crypto.randomUUID();
      const lines = [
        { type: "command_lifecycle", command_uuid, state: "completed" },
        { type: "result", is_error: false, result: "another answer", user_message_uuids: [command_uuid] },
        { type: "result", is_error: true, user_message_uuids: [] },
      ];
      for (const line of lines) this.write(line);
    }
    if (noise === "split lines") this.#isSplit = true;
  }

  /** Something goes wrong with stdin or stdout. Does not return when claude dies of it. */
  async fail(command: Command): Promise<void> {
    if (command === "close input") closeSync(STDIN);
    if (command === "close output") closeSync(STDOUT);
    if (command === "half line") {
      await this.#written;
      writeSync(STDOUT, '{"type":"result","is_error":false,"user_mess');
      process.kill(process.pid, "SIGKILL");
    }
  }

  #text(text: string): void {
    const isSplit = this.#isSplit;
    this.#written = this.#written.then(() => (isSplit ? writeInParts(Buffer.from(text)) : writeAll(Buffer.from(text))));
  }
}

/** Writes some bytes at a time, so that the server reads a part of a line, and a part of a character. */
async function writeInParts(bytes: Buffer): Promise<void> {
  const parts = Math.min(bytes.length, 7);
  const size = Math.ceil(bytes.length / parts);
  for (let at = 0; at < bytes.length; at += size) {
    await writeAll(bytes.subarray(at, at + size));
    await Bun.sleep(1);
  }
}

/** Waits while the pipe is full. */
async function writeAll(bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(STDOUT, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Claude continues to run although its server was killed, or it has closed its output itself.
      if (code === "EPIPE" || code === "EBADF") return;
      if (code !== "EAGAIN") throw error;
      await Bun.sleep(1);
    }
  }
}
