/** One-shots that fail between the request and the process: none may be left behind, and none may count as running. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { isRunning } from "../../src/core/is-running.ts";
import type { OneShotRequest } from "../../src/intake/one-shot-request.ts";
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

/** One-shots of which one may run, by a program that notes its pid and then does as it is told. */
function oneShots(does: string): OneShotQueue {
  const claude = join(base, `claude-${crypto.randomUUID()}`);
  writeFileSync(claude, `#!/bin/sh\necho $$ >> '${pids}'\n${does}\n`, { mode: 0o755 });
  rmSync(pids, { force: true });
  const paths = pathsFor(join(base, "home"));
  const config = { ...defaults(paths), claudeBin: claude, maxOneShots: 1, maxQueue: 10 };
  return createOneShotQueue({ config, paths, env: { PATH: process.env.PATH, HOME: base } });
}

const question = (schema: Record<string, unknown> | null = null): OneShotRequest => ({
  system: "",
  turns: [{ role: "user", content: [{ type: "text", text: "hello" }] }],
  prefill: null,
  format: schema ? { type: "json", schema } : { type: "text" },
  model: null,
  effort: null,
});

/** What a client gets: the text, or the code of the error. */
async function outcome(reply: ResponseStream): Promise<string> {
  let text = "";
  try {
    await reply.opened;
    for await (const parts of reply.parts()) {
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

test("a request that cannot be written down starts no process, and the next one is answered", async () => {
  const shots = oneShots(`cat > /dev/null\nprintf '%s\\n' '${ANSWER.join("' '")}'`);
  const deep = {
    toJSON: () => {
      // As JSON.stringify itself does for a value that is nested too deep.
      throw new RangeError("Maximum call stack size exceeded.");
    },
  };
  // More of them than may run: none of them may keep its slot.
  for (const schema of [deep, { a: 1n }, { a: [deep] }]) {
    expect(await outcome(shots.submit(question(schema)))).toBe("internal_error");
  }
  expect(started()).toEqual([]);
  expect(await outcome(shots.submit(question()))).toBe("fine");
  await shots.drain(0);
  expect(folders()).toEqual([]);
});

test("a process that answers with nothing that is understood is ended, and the next request is answered", async () => {
  const bombs = ["[".repeat(50_000), `{"type":"result","a":${"1".repeat(50_000)}}`];
  const shots = oneShots(
    `cat > /dev/null\nif [ $(wc -l < '${pids}') -gt 2 ]; then printf '%s\\n' '${ANSWER.join("' '")}'; else cat '${join(base, "bomb")}'; fi`,
  );
  for (const bomb of bombs) {
    writeFileSync(join(base, "bomb"), `${bomb}\n`);
    expect(await outcome(shots.submit(question()))).toBe("claude_exited");
  }
  expect(await outcome(shots.submit(question()))).toBe("fine");
  await shots.drain(0);
  expect(started().filter(isRunning)).toEqual([]);
});

test("an answer of many megabytes on one line is read in linear time", async () => {
  const long = "x".repeat(8 * 1024 * 1024);
  writeFileSync(
    join(base, "long"),
    `${JSON.stringify({ type: "assistant", message: { id: "m", content: [{ type: "text", text: long }] } })}\n${ANSWER[1]}\n`,
  );
  const shots = oneShots(`cat > /dev/null\ncat '${join(base, "long")}'`);
  expect((await outcome(shots.submit(question()))).length).toBe(long.length);
  await shots.drain(0);
});
