/**
 * The floor of the stream engine: a `claude` over stream-json, driven by the least code that works. It has no server,
 * keeps no queue, no record and no deadline, checks nothing, offers no tools, and repairs nothing.
 */
import { readLines } from "../../src/core/read-lines.ts";
import { REAL_CLAUDE } from "../support/server.ts";

const STREAM_JSON = ["--input-format", "stream-json", "--output-format", "stream-json", "--include-partial-messages"];

/** @param resume the session exists already */
export function startBareClaude(env: Record<string, string>, cwd: string, session: string, resume = false) {
  const args = [...STREAM_JSON, "--verbose", resume ? "--resume" : "--session-id", session];
  const child = Bun.spawn([REAL_CLAUDE, "-p", ...args], {
    env,
    cwd,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
    // A session of its own, as synthesis gives it: Linux divides the processors between sessions.
    detached: true,
  });
  let onText = (_text: string) => {};
  let onEnd = () => {};
  void readLines(child.stdout, (line) => {
    const { type, event } = JSON.parse(line);
    if (event?.delta?.type === "text_delta") onText(event.delta.text);
    if (type === "result") onEnd();
  });
  return {
    pid: child.pid,
    /** Sends a message. Resolves at the end of the answer. */
    say: (content: string, onDelta: (text: string) => void) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      onText = onDelta;
      onEnd = resolve;
      child.stdin.write(`${JSON.stringify({ type: "user", message: { role: "user", content } })}\n`);
      child.stdin.flush();
      return promise;
    },
    /** Ends its input, upon which it exits. */
    stop: () => {
      child.stdin.end();
      return child.exited;
    },
  };
}
