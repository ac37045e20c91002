/** One-shots whose process fails to start or to answer: no process may survive, and no slot may stay taken. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Login } from "../../src/claude/login.ts";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { isRunning } from "../../src/core/is-running.ts";
import type { OneShotRequest } from "../../src/intake/one-shot-request.ts";
import { SchemaChecker } from "../../src/json-schema/checker.ts";
import { AccountLimits } from "../../src/limits/account.ts";
import { Rejections } from "../../src/limits/rejections.ts";
import { createOneShotQueue, type OneShotQueue } from "../../src/one-shot/queue.ts";
import type { ResponseStream } from "../../src/turn/response-stream.ts";

let base: string;
let pids: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "synthesis-one-shots-"));
  pids = join(base, "pids");
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

const USAGE = { input_tokens: 1, cache_read_input_tokens: 0, cache_creation_input_tokens: 0, output_tokens: 1 };
const ANSWER = [
  { type: "assistant", message: { id: "m", content: [{ type: "text", text: "fine" }] } },
  { type: "result", is_error: false, usage: USAGE },
].map((line) => JSON.stringify(line));

/** A queue with one slot. Its `claude` is a shell script that records its pid and then runs `script`. */
function queueWith(script: string): OneShotQueue {
  const claude = join(base, `claude-${crypto.randomUUID()}`);
  writeFileSync(claude, `#!/bin/sh\necho $$ >> '${pids}'\n${script}\n`, { mode: 0o755 });
  rmSync(pids, { force: true });
  const paths = pathsFor(join(base, "home"));
  const config = { ...defaults(paths), claudeBin: claude, maxOneShots: 1, maxQueue: 10 };
  return createOneShotQueue({
    limits: new AccountLimits(),
    rejections: new Rejections(),
    login: new Login({ HOME: base }, base),
    config,
    paths,
    env: { PATH: process.env.PATH, HOME: base },
    checker: new SchemaChecker(),
    turns: { count: () => {} },
  });
}

const request = (schema: Record<string, unknown> | null = null): OneShotRequest => ({
  system: "",
  turns: [{ role: "user", content: [{ type: "text", text: "hello" }] }],
  prefill: null,
  format: schema ? { type: "json", schema } : { type: "text" },
  claudeSchema: schema,
  model: null,
  effort: null,
});

/** What the client gets: the text, or the code of the error. */
async function outcome(response: ResponseStream): Promise<string> {
  let text = "";
  try {
    await response.opened;
    for await (const parts of response.parts()) {
      for (const part of parts) {
        if (part.type === "text") text += part.text;
        if (part.type === "error") return part.error.code;
      }
    }
    return text;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const started = () => (existsSync(pids) ? readFileSync(pids, "utf8").trim().split("\n").map(Number) : []);
const folders = () => (existsSync(join(base, "home/run")) ? readdirSync(join(base, "home/run")) : []);

test("starts no process for a request that cannot be serialised, and answers the next one", async () => {
  const queue = queueWith(`cat > /dev/null\nprintf '%s\\n' '${ANSWER.join("' '")}'`);
  const deep = {
    toJSON: () => {
      // JSON.stringify throws this for a value that is nested too deeply.
      throw new RangeError("Maximum call stack size exceeded.");
    },
  };
  // More requests than there are slots: each must free its slot.
  for (const schema of [deep, { a: 1n }, { a: [deep] }]) {
    expect(await outcome(queue.submit(request(schema)))).toBe("internal_error");
  }
  expect(started()).toEqual([]);
  expect(await outcome(queue.submit(request()))).toBe("fine");
  await queue.drain(0);
  expect(folders()).toEqual([]);
});

test("ends a process whose output is not understood, and answers the next request", async () => {
  const bombs = ["[".repeat(50_000), `{"type":"result","a":${"1".repeat(50_000)}}`];
  const queue = queueWith(
    `cat > /dev/null\nif [ $(wc -l < '${pids}') -gt 2 ]; then printf '%s\\n' '${ANSWER.join("' '")}'; else cat '${join(base, "bomb")}'; fi`,
  );
  for (const bomb of bombs) {
    writeFileSync(join(base, "bomb"), `${bomb}\n`);
    expect(await outcome(queue.submit(request()))).toBe("claude_exited");
  }
  expect(await outcome(queue.submit(request()))).toBe("fine");
  await queue.drain(0);
  expect(started().filter(isRunning)).toEqual([]);
});

test("reads an answer of many megabytes on one line in linear time", async () => {
  const long = "x".repeat(8 * 1024 * 1024);
  writeFileSync(
    join(base, "long"),
    `${JSON.stringify({ type: "assistant", message: { id: "m", content: [{ type: "text", text: long }] } })}\n${ANSWER[1]}\n`,
  );
  const queue = queueWith(`cat > /dev/null\ncat '${join(base, "long")}'`);
  expect((await outcome(queue.submit(request()))).length).toBe(long.length);
  await queue.drain(0);
});
